namespace DualSparse.Sparsify;

/// <summary>
/// Windows of text in two parts, of similar mixture because they alternate: one to calibrate on, one held out, on which the expected loss
/// is measured.
/// </summary>
/// <param name="Calibration">Three of four windows; all where there are fewer than four.</param>
/// <param name="HeldOut">Every fourth window.</param>
internal sealed record CalibrationSplit(IReadOnlyList<int[]> Calibration, IReadOnlyList<int[]> HeldOut)
{
    // A quarter: enough for intervals, and the larger part for the rarer experts.
    private const int Every = 4;

    /// <summary>Splits windows, in their order.</summary>
    public static CalibrationSplit Interleaved(IReadOnlyList<int[]> windows) => new(
        [.. windows.Where((_, w) => w % Every != Every - 1)], [.. windows.Where((_, w) => w % Every == Every - 1)]);
}
