using System.Text.Json.Serialization;
using DualSparse.Engine;
using DualSparse.Evaluation.Tasks;

namespace DualSparse.Cli.Commands;

/// <summary>
/// One task's figures as <c>eval --json</c> writes them; those that compare with the dense run are null where nothing is dropped,
/// acc_norm's where the task has none.
/// </summary>
internal sealed record TaskFigures([property: JsonIgnore] string Task, int N, double Acc, double? AccNorm)
{
    /// <summary>Items whose beginning the model didn't see: they are longer than the context.</summary>
    public required int Cut { get; init; }

    public double? DenseAcc { get; init; }

    public double? DenseAccNorm { get; init; }

    public Interval? DeltaAcc { get; init; }

    public Interval? DeltaAccNorm { get; init; }

    public int? RightToWrong { get; init; }

    public int? WrongToRight { get; init; }

    /// <summary>KL to the dense run a scored token of the right choices, in nats.</summary>
    public Interval? Kl { get; init; }

    /// <summary>Share of items that turned right or wrong.</summary>
    public double? Flips => (double?)(RightToWrong + WrongToRight) / N;

    public double? DropRate { get; init; }

    /// <summary>Takes them from a run.</summary>
    public static TaskFigures Of(TaskResult run) => new(run.Task, run.Items.Count, run.Accuracy, run.NormalisedAccuracy) { Cut = run.Cut };

    /// <summary>Takes them from a dense run and one under a drop.</summary>
    public static TaskFigures Of(TaskComparison runs) => Of(runs.Dropped) with
    {
        DenseAcc = runs.Dense.Accuracy,
        DenseAccNorm = runs.Dense.NormalisedAccuracy,
        DeltaAcc = runs.Accuracy.Share,
        DeltaAccNorm = runs.NormalisedAccuracy?.Share,
        RightToWrong = runs.Accuracy.RightToWrong,
        WrongToRight = runs.Accuracy.WrongToRight,
        Kl = runs.KullbackLeibler,
        DropRate = runs.DropRate,
    };
}
