namespace DualSparse.Sparsify;

/// <summary>How far <see cref="Sparsifier"/> or <see cref="Complete.CompleteTransformation"/> has come.</summary>
/// <param name="Stage">
/// What it does, in this order: "calibrating", "writing", and where thresholds are searched "watching outputs", "layers alone", "loss to
/// expect". <see cref="Complete.CompleteTransformation"/> is only ever "writing".
/// </param>
/// <param name="Share">The share of that done, from 0 to 1.</param>
internal readonly record struct SparsifyProgress(string Stage, double Share);

/// <summary>One stage's part of it.</summary>
internal sealed class StageProgress(IProgress<SparsifyProgress>? progress, string stage) : IProgress<double>
{
    public void Report(double value) => progress?.Report(new SparsifyProgress(stage, value));
}
