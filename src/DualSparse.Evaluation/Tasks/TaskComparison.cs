using DualSparse.Engine;
using DualSparse.Models.Text;

namespace DualSparse.Evaluation.Tasks;

/// <summary>The change of the share of right items.</summary>
/// <param name="Share">The change, with the 95 % interval of a paired bootstrap over items.</param>
/// <param name="RightToWrong">Items that were right and are wrong.</param>
/// <param name="WrongToRight">Items that were wrong and are right.</param>
internal sealed record AccuracyChange(Interval Share, int RightToWrong, int WrongToRight);

/// <summary>A dense run and one under a drop, over the same items.</summary>
/// <param name="Dense">The dense run.</param>
/// <param name="Dropped">The run under a drop.</param>
/// <param name="DropRate">The drop rate over all tokens of that run.</param>
internal sealed record TaskComparison(TaskResult Dense, TaskResult Dropped, double DropRate)
{
    /// <summary>The change of acc.</summary>
    public AccuracyChange Accuracy { get; } = Change(Dense, Dropped, i => i.Right);

    /// <summary>The change of acc_norm; null if the task has none.</summary>
    public AccuracyChange? NormalisedAccuracy { get; } =
        Dense.NormalisedAccuracy is null ? null : Change(Dense, Dropped, i => i.RightNormalised == true);

    /// <summary>KL(dense ‖ dropped) a scored id of the right candidates, in nats, with the 95 % interval over items.</summary>
    public Interval KullbackLeibler => PairedBootstrap.Ratio([.. Dropped.Items.Select(i => i.Loss.KullbackLeibler)], [.. Dropped.Items.Select(i => (double)i.Loss.Tokens)]);

    /// <summary>Runs a task dense and under a drop, a batch of items after another.</summary>
    /// <param name="model">The model; it must not be used otherwise meanwhile.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="task">The rows.</param>
    /// <param name="rule">The drop.</param>
    /// <param name="context">As in <see cref="TaskEvaluation"/>.</param>
    /// <param name="progress">Receives the share of both runs done, from 0 to 1.</param>
    /// <param name="cancel">Checked between batches.</param>
    /// <exception cref="ArgumentException">As in <see cref="TaskEvaluation"/>, or the rule doesn't fit the model.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static TaskComparison Run(
        Transformer model, Tokenizer tokenizer, TaskSet task, DropRequest rule, int? context = null, IProgress<double>? progress = null, CancellationToken cancel = default)
    {
        var drop = model.NewText(rule);
        // What is compared with isn't balanced.
        var runs = TaskEvaluation.Run([new TaskContender(model, Balanced: false), new TaskContender(model, drop)], tokenizer, task, context, progress, cancel);
        return new TaskComparison(runs[0], runs[1], drop.Counts.Rate);
    }

    private static AccuracyChange Change(TaskResult before, TaskResult after, Func<ItemResult, bool> right)
    {
        if (before.Task != after.Task || before.Items.Count != after.Items.Count)
            throw new ArgumentException($"{before.Items.Count} items of {before.Task} can't be compared with {after.Items.Count} of {after.Task}");
        double[] changes = [.. before.Items.Zip(after.Items, (b, a) => (right(a) ? 1.0 : 0.0) - (right(b) ? 1.0 : 0.0))];
        return new AccuracyChange(
            PairedBootstrap.Mean(changes), changes.Count(c => c < 0), changes.Count(c => c > 0));
    }
}
