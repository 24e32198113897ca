using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Models.Text;

namespace DualSparse.Evaluation.Tasks;

/// <summary>What became of the share of right items.</summary>
/// <param name="Share">Its change, with the 95 % interval of a bootstrap over items; both runs see the same draws.</param>
/// <param name="RightToWrong">Items that were right and are wrong.</param>
/// <param name="WrongToRight">Items that were wrong and are right.</param>
internal sealed record AccuracyChange(Interval Share, int RightToWrong, int WrongToRight);

/// <summary>A dense run and one under a drop, over the same items.</summary>
/// <param name="Dense">The dense run.</param>
/// <param name="Dropped">The other.</param>
/// <param name="DropRate">The rate that the other had, over all tokens that it read.</param>
internal sealed record TaskComparison(TaskResult Dense, TaskResult Dropped, double DropRate)
{
    /// <summary>What became of acc.</summary>
    public AccuracyChange Accuracy { get; } = Change(Dense, Dropped, i => i.Right);

    /// <summary>What became of acc_norm; null where the task has none.</summary>
    public AccuracyChange? NormalisedAccuracy { get; } =
        Dense.NormalisedAccuracy is null ? null : Change(Dense, Dropped, i => i.RightNormalised == true);

    /// <summary>Runs a task dense, then under a drop.</summary>
    /// <param name="model">The model; not for other use meanwhile.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="task">The rows.</param>
    /// <param name="rule">What is dropped.</param>
    /// <param name="context">As in <see cref="TaskEvaluation.Run"/>.</param>
    /// <param name="progress">Told the share of both runs done, from 0 to 1.</param>
    /// <param name="cancel">Looked at between batches.</param>
    /// <exception cref="ArgumentException">As in <see cref="TaskEvaluation.Run"/>, or the rule makes no sense for the model.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static TaskComparison Run(
        Transformer model, Tokenizer tokenizer, TaskSet task, DropRequest rule, int? context = null, IProgress<double>? progress = null, CancellationToken cancel = default)
    {
        var drop = model.NewText(rule);
        var dense = Half(null, 0);
        var dropped = Half(drop, 0.5);
        return new TaskComparison(dense, dropped, drop.Counts.Rate);

        TaskResult Half(TextDrop? drop, double done) =>
            TaskEvaluation.Run(model, tokenizer, task, context, drop, progress is null ? null : new Part(progress, done), cancel);
    }

    private static AccuracyChange Change(TaskResult before, TaskResult after, Func<ItemResult, bool> right)
    {
        if (before.Task != after.Task || before.Items.Count != after.Items.Count)
            throw new ArgumentException($"{before.Items.Count} items of {before.Task} can't be compared with {after.Items.Count} of {after.Task}");
        double[] changes = [.. before.Items.Zip(after.Items, (b, a) => (right(a) ? 1.0 : 0.0) - (right(b) ? 1.0 : 0.0))];
        return new AccuracyChange(
            PairedBootstrap.Mean(changes), changes.Count(c => c < 0), changes.Count(c => c > 0));
    }

    private sealed class Part(IProgress<double> whole, double done) : IProgress<double>
    {
        public void Report(double value) => whole.Report(done + value / 2);
    }
}
