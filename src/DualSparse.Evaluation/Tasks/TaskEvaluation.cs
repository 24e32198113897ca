using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Models.Text;

namespace DualSparse.Evaluation.Tasks;

/// <summary>Runs a model over tasks by the likelihood of each candidate; no text is generated.</summary>
internal static class TaskEvaluation
{
    /// <summary>The default context in ids, if the model's isn't shorter.</summary>
    public const int DefaultContext = 512;

    /// <summary>Scores a task's items.</summary>
    /// <param name="model">The model; it must not be used otherwise meanwhile.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="task">The rows.</param>
    /// <param name="context">The most ids of a sequence; of a longer one the last are kept. Null: <see cref="DefaultContext"/> or the model's longest.</param>
    /// <param name="drop">The drop; null: none.</param>
    /// <param name="progress">Receives the share of items done, from 0 to 1.</param>
    /// <param name="cancel">Checked between batches.</param>
    /// <exception cref="ArgumentException">
    /// The model has no id that opens a text, the context is out of its range, a continuation is empty or longer than the context, or a picture can't be
    /// read.
    /// </exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static TaskResult Run(
        Transformer model, Tokenizer tokenizer, TaskSet task, int? context = null, TextDrop? drop = null, IProgress<double>? progress = null, CancellationToken cancel = default) =>
        Run([new TaskContender(model, drop)], tokenizer, task, context, progress, cancel)[0];

    /// <summary>The same by several contenders, a batch of items after another; all but the first are compared with it.</summary>
    /// <returns>A result for each contender.</returns>
    public static IReadOnlyList<TaskResult> Run(
        IReadOnlyList<TaskContender> contenders, Tokenizer tokenizer, TaskSet task, int? context = null, IProgress<double>? progress = null, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(task);
        var model = contenders[0].Model;
        var encoder = new CandidateEncoder(tokenizer, model.Config, context ?? Math.Min(DefaultContext, model.Config.MaxPositions));
        TaskPictures.Require(model, task);
        // Of items with pictures the texts alone, so that what can't be scored is said before anything is.
        var items = task.Items.Select(item => item.Candidates.Select(candidate => encoder.Encode(candidate)).ToArray()).ToList();
        for (int i = 0; i < items.Count; i++)
            RequireScored(task, i, items[i], 1);
        int cut = 0;
        var scores = new LikelihoodScorer(contenders).Score(Items(), done => progress?.Report((double)done / items.Count), cancel);
        return [.. scores.Select(of => new TaskResult(task.Name, [.. task.Items.Select((item, i) => Judge(task.Judgement, item, of[i].Scores) with { Loss = of[i].Loss })]) { Cut = cut })];

        // Pictures are read when their item's turn comes.
        IEnumerable<EncodedItem> Items()
        {
            var reader = new TaskPictures(model, encoder);
            for (int i = 0; i < items.Count; i++)
            {
                var item = task.Items[i];
                var beginning = item.Pictures.Count == 0 ? null : reader.Read(item.Pictures);
                var candidates = beginning is null ? items[i] : [.. item.Candidates.Select(candidate => encoder.Encode(candidate, beginning.Ids))];
                RequireScored(task, i, candidates, beginning?.Ids.Length ?? 1);
                cut += candidates.Any(c => c.Lost > 0) ? 1 : 0;
                yield return new EncodedItem(candidates, item.Gold, beginning?.Placed);
            }
        }
    }

    /// <summary>Judges an item by its candidates' scores.</summary>
    internal static ItemResult Judge(TaskJudgement judgement, TaskItem item, CandidateScore[] scores) => judgement switch
    {
        TaskJudgement.GreedyMatch => new(scores, scores[0].Greedy, null),
        TaskJudgement.BetterOfPair => new(scores, scores[0].LogLikelihood > scores[1].LogLikelihood, null),
        _ => new(
            scores,
            Best(scores.Select(s => s.LogLikelihood)) == item.Gold,
            Best(scores.Select((s, c) => s.LogLikelihood / Math.Max(1, item.Candidates[c].Characters))) == item.Gold),
    };

    private static void RequireScored(TaskSet task, int index, EncodedCandidate[] candidates, int before)
    {
        int empty = Array.FindIndex(candidates, c => c.First >= c.Ids.Length);
        if (empty >= 0)
            throw new ArgumentException($"{task.Name}: item {index + 1} has the continuation \"{task.Items[index].Candidates[empty].Continuation}\", of which no id is left to score, expected at least one");
        var worst = candidates.MinBy(c => c.First);
        if (worst.First >= before)
            return;
        int tokens = worst.Ids.Length - worst.First, length = worst.Ids.Length;
        throw new ArgumentException(before == 1
            ? $"{task.Name}: item {index + 1} has a continuation of {tokens} tokens, more than a context of {length} holds after one token: its score would be a part's; take a larger context (--context)"
            : $"{task.Name}: item {index + 1} has pictures of {before} tokens, which leave too few of a context for its continuation: take a larger one (--context), or smaller pictures");
    }

    // The first of equals.
    private static int Best(IEnumerable<double> scores) => scores.Select((score, i) => (score, i)).MaxBy(s => s.score).i;
}
