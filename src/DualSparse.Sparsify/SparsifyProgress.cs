namespace DualSparse.Sparsify;

/// <summary>How far <see cref="Sparsifier"/> has come.</summary>
/// <param name="Stage">What it does: "calibrating", "writing".</param>
/// <param name="Share">The share of that done, from 0 to 1.</param>
public readonly record struct SparsifyProgress(string Stage, double Share);

/// <summary>One stage's part of it.</summary>
internal sealed class StageProgress(IProgress<SparsifyProgress>? progress, string stage) : IProgress<double>
{
    public void Report(double value) => progress?.Report(new SparsifyProgress(stage, value));
}
