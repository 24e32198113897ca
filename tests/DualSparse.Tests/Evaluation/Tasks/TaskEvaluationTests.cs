using System.Text.Json;
using DualSparse.Engine;
using DualSparse.Evaluation.Tasks;
using DualSparse.Kernels;

namespace DualSparse.Tests.Evaluation.Tasks;

/// <summary>Scores of the shipped model, by our own slow way and beside an independent implementation's (tests/golden/README.md).</summary>
public sealed class TaskEvaluationTests : IDisposable
{
    private const int ItemsOfEachTask = 20;

    private readonly MoeModel model = MoeModel.Load(TestPaths.Model, new EngineOptions { Weights = WeightFormat.F32 });

    public void Dispose() => model.Dispose();

    [Fact]
    public void A_score_is_the_sum_over_the_continuations_ids_of_the_joint_encoding()
    {
        TaskItem[] items =
        [
            new([new("The old man went down to the", " sea"), new("The old man went down to the", " harbour, and never came back.")], 0),
            new([new("Ann met Eve, so Ann", " left."), new("Ann met Eve, so Eve", " left.")], 0),
            new([new("", "He goes home."), new("", "He go home.")], 0),
            new([new("un", "believable")], 0),
            new([new("Answer:", " A"), new("Answer:", " B"), new("Answer:", " C")], 0),
        ];
        var result = Run(new TaskSet("hand-made", TaskJudgement.BestChoice, items));
        for (int i = 0; i < items.Length; i++)
        {
            for (int c = 0; c < items[i].Candidates.Count; c++)
            {
                var (ours, expected) = (result.Items[i].Scores[c], Slowly(items[i].Candidates[c], 512));
                Assert.Equal(expected.LogLikelihood, ours.LogLikelihood, 1e-4);
                Assert.Equal(expected.Greedy, ours.Greedy);
            }
        }
    }

    [Fact]
    public void Of_a_longer_sequence_the_last_ids_are_kept_and_the_item_is_counted_as_cut()
    {
        const int context = 8;
        TaskItem item = new([new("The old man went down to the harbour early in the morning and", " saw the ships"), new("The old man went down to the harbour early in the morning and", " sea")], 0);
        var result = TaskEvaluation.Run(model.Transformer, model.Tokenizer, new TaskSet("hand-made", TaskJudgement.BestChoice, [item]), context, cancel: TestContext.Current.CancellationToken);
        for (int c = 0; c < 2; c++)
            Assert.Equal(Slowly(item.Candidates[c], context).LogLikelihood, result.Items[0].Scores[c].LogLikelihood, 1e-4);
        Assert.Equal(1, result.Cut);
        Assert.Equal(0, Run(new TaskSet("hand-made", TaskJudgement.BestChoice, [item])).Cut);
    }

    // A part's score would stand for the whole, divided by the whole's length.
    [Theory]
    [InlineData(TaskJudgement.BestChoice)]
    [InlineData(TaskJudgement.GreedyMatch)]
    public void A_continuation_longer_than_the_context_is_refused(object judgement)
    {
        TaskItem item = new([new("The old man", " saw the ships"), new("The old man", " sea")], 0);
        int tokens = model.Tokenizer.Encode(" saw the ships", addSpecial: false).Length;
        Assert.NotNull(Within(tokens + 1));
        Assert.Contains($"hand-made: item 1 has a continuation of {tokens} tokens, more than a context of {tokens} holds", Assert.Throws<ArgumentException>(() => Within(tokens)).Message);

        TaskResult Within(int context) => TaskEvaluation.Run(
            model.Transformer, model.Tokenizer, new TaskSet("hand-made", (TaskJudgement)judgement, [item]), context, cancel: TestContext.Current.CancellationToken);
    }

    [Fact]
    public void Scores_are_batch_invariant()
    {
        TaskItem[] items = [.. Enumerable.Range(0, 150).Select(i => new TaskItem([new($"It was {i} miles to", " the sea"), new($"It was {i} miles to", $" {i}")], 0))];
        var together = Run(new TaskSet("hand-made", TaskJudgement.BestChoice, items));
        foreach (int i in new[] { 0, 77, 149 })
            Assert.Equal(Run(new TaskSet("hand-made", TaskJudgement.BestChoice, [items[i]])).Items[0].Scores, together.Items[i].Scores);
    }

    [Fact]
    public void Right_is_the_best_score_and_by_length_the_best_score_a_character()
    {
        TaskItem item = new([new("", " ab"), new("", " abcdefgh")], 1);
        var result = Judge(TaskJudgement.BestChoice, item, -4, -8);
        Assert.Equal((false, true), (result.Right, result.RightNormalised));
        Assert.False(Judge(TaskJudgement.BestChoice, item, -4, -4).Right);
        Assert.True(Judge(TaskJudgement.BetterOfPair, item, -4, -8).Right);
        Assert.False(Judge(TaskJudgement.BetterOfPair, item, -4, -4).Right);
        Assert.Null(Judge(TaskJudgement.BetterOfPair, item, -4, -8).RightNormalised);
        Assert.True(TaskEvaluation.Judge(TaskJudgement.GreedyMatch, new([new("", " ab")], 0), [new(-1, true)]).Right);

        static ItemResult Judge(TaskJudgement judgement, TaskItem item, params double[] scores) =>
            TaskEvaluation.Judge(judgement, item, [.. scores.Select(s => new CandidateScore(s, false))]);
    }

    [Fact]
    public void A_context_beyond_the_models_and_a_cancelled_run_are_refused()
    {
        var task = new TaskSet("hand-made", TaskJudgement.GreedyMatch, [new([new("a", " b")], 0)]);
        Assert.Throws<ArgumentException>(() => TaskEvaluation.Run(model.Transformer, model.Tokenizer, task, 513, cancel: TestContext.Current.CancellationToken));
        Assert.Throws<OperationCanceledException>(() =>
            TaskEvaluation.Run(model.Transformer, model.Tokenizer, task, cancel: new CancellationToken(canceled: true)));
    }

    [Theory]
    [InlineData(TaskJudgement.GreedyMatch)]
    [InlineData(TaskJudgement.BestChoice)]
    public void A_continuation_without_ids_is_refused(object kind)
    {
        var judgement = (TaskJudgement)kind;
        var task = new TaskSet("hand-made", judgement, [new([new("a", " b"), new("a", " c")], 0), new([new("He saw the", " sea"), new("He saw the", "")], 0)]);
        string message = Assert.Throws<ArgumentException>(() => Run(task)).Message;
        Assert.Contains("hand-made: item 2 has the continuation \"\"", message);
    }

    public static TheoryData<string> Tasks => [.. TaskFile.Names];

    [Theory]
    [MemberData(nameof(Tasks))]
    public void Items_have_the_references_scores(string task)
    {
        string? folder = EvaluationSets();
        Assert.SkipWhen(folder is null, "the evaluation sets don't ship: they would be in shared/data/evals beside the repository");
        using var golden = JsonDocument.Parse(File.ReadAllText(TestPaths.Golden("eval", "items.json")));
        double[][] expected = [.. golden.RootElement.GetProperty(task).EnumerateArray().Select(item => item.EnumerateArray().Select(s => s.GetDouble()).ToArray())];
        // With the limit that the reference had: it decides which rows blimp takes.
        var all = TaskFile.Read(folder, task, expected.Length);
        Assert.Equal(expected.Length, all.Items.Count);

        int[] rows = [.. Enumerable.Range(0, ItemsOfEachTask).Select(i => i * (expected.Length / ItemsOfEachTask))];
        var result = Run(all with { Items = [.. rows.Select(row => all.Items[row])] });
        for (int i = 0; i < rows.Length; i++)
        {
            var (item, theirs) = (all.Items[rows[i]], expected[rows[i]]);
            for (int c = 0; c < item.Candidates.Count; c++)
                Assert.Equal(theirs[c], result.Items[i].Scores[c].LogLikelihood, 1e-2);
            bool right = all.Judgement switch
            {
                TaskJudgement.GreedyMatch => theirs[1] == 1,
                TaskJudgement.BetterOfPair => theirs[0] > theirs[1],
                _ => Array.IndexOf(theirs, theirs.Max()) == item.Gold,
            };
            Assert.Equal(right, result.Items[i].Right);
        }
    }

    private static string? EvaluationSets()
    {
        for (var above = new DirectoryInfo(TestPaths.InRepository()).Parent; above is not null; above = above.Parent)
        {
            string folder = Path.Combine(above.FullName, "shared", "data", "evals");
            if (Directory.Exists(folder))
                return folder;
        }

        return null;
    }

    private TaskResult Run(TaskSet task) => TaskEvaluation.Run(model.Transformer, model.Tokenizer, task);

    // One candidate at a time, every row's logits, nothing shared.
    private (double LogLikelihood, bool Greedy) Slowly(TaskCandidate candidate, int context)
    {
        int[] before = model.Tokenizer.Encode(candidate.Context, addSpecial: false), joint = model.Tokenizer.Encode(candidate.Context + candidate.Continuation, addSpecial: false);
        int common = before.Zip(joint).TakeWhile(pair => pair.First == pair.Second).Count();
        int[] ids = [0, .. joint];
        int scored = joint.Length - common;
        ids = [.. ids.TakeLast(context)];
        int vocabulary = model.Config.VocabSize;
        using var cache = model.Transformer.NewCache(ids.Length);
        var logits = model.Transformer.Forward(cache, ids, LogitRows.All);
        var (sum, greedy) = (0.0, true);
        for (int t = Math.Max(1, ids.Length - scored); t < ids.Length; t++)
        {
            double[] row = [.. logits.Slice((t - 1) * vocabulary, vocabulary).ToArray().Select(x => (double)x)];
            sum += row[ids[t]] - Math.Log(row.Sum(Math.Exp));
            greedy &= row.Max() == row[ids[t]];
        }

        return (sum, greedy);
    }
}
