using DualSparse.Engine;
using DualSparse.Evaluation.Tasks;

namespace DualSparse.Tests.Evaluation.Tasks;

public class TaskComparisonTests
{
    [Fact]
    public void Flips_are_counted_both_ways()
    {
        var runs = new TaskComparison(Result(true, true, false, false, true), Result(true, false, true, false, false), 0.25);
        Assert.Equal((2, 1), (runs.Accuracy.RightToWrong, runs.Accuracy.WrongToRight));
        Assert.Equal(-0.2, runs.Accuracy.Share.Value, 1e-12);
        Assert.InRange(runs.Accuracy.Share.Value, runs.Accuracy.Share.Low, runs.Accuracy.Share.High);
        Assert.Null(runs.NormalisedAccuracy);
    }

    [Fact]
    public void The_same_run_changes_nothing_and_other_items_are_refused()
    {
        var result = Result(true, false, true);
        Assert.Equal(new AccuracyChange(new Interval(0, 0, 0), 0, 0), new TaskComparison(result, result, 0).Accuracy);
        Assert.Throws<ArgumentException>(() => new TaskComparison(result, Result(true), 0));
    }

    [Fact]
    public void A_drop_is_compared_with_the_dense_run()
    {
        using var model = MoeModel.Load(TestPaths.Model);
        var task = new TaskSet("hand-made", TaskJudgement.BestChoice, [new([new("The sun sets in the", " west"), new("The sun sets in the", " west of the river")], 0)]);
        var rule = new DropRequest { Thresholds = new DropThresholds(0.09f, 0.11f) };
        var dense = TaskEvaluation.Run(model.Transformer, model.Tokenizer, task, cancel: TestContext.Current.CancellationToken);
        var runs = TaskComparison.Run(model.Transformer, model.Tokenizer, task, rule, cancel: TestContext.Current.CancellationToken);
        Assert.Equal(dense.Items[0].Scores, runs.Dense.Items[0].Scores);
        Assert.NotEqual(dense.Items[0].Scores, runs.Dropped.Items[0].Scores);
        Assert.InRange(runs.DropRate, 0.1, 0.9);
        Assert.Equal((0, model.Tokenizer.Encode(" west", addSpecial: false).Length), (runs.Dense.Items[0].Loss.Tokens, runs.Dropped.Items[0].Loss.Tokens));
        Assert.InRange(runs.KullbackLeibler.Value, 1e-6, 1);
    }

    private static TaskResult Result(params bool[] right) => new("lambada", [.. right.Select(r => new ItemResult([new CandidateScore(-1, r)], r, null))]);
}
