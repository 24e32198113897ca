namespace DualSparse.Sparsify;

/// <summary>The progress of <see cref="Sparsifier"/> or <see cref="Complete.CompleteTransformation"/>.</summary>
/// <param name="Stage">
/// The stage, in this order: "calibrating", "writing", and if thresholds are searched "expert outputs", "layer losses", "expected loss".
/// <see cref="Complete.CompleteTransformation"/> is only ever "writing".
/// </param>
/// <param name="Share">The share of the stage done, from 0 to 1.</param>
internal readonly record struct SparsifyProgress(string Stage, double Share);

/// <summary>Reports the progress of one stage.</summary>
internal sealed class StageProgress(IProgress<SparsifyProgress>? progress, string stage) : IProgress<double>
{
    public void Report(double value) => progress?.Report(new SparsifyProgress(stage, value));
}
