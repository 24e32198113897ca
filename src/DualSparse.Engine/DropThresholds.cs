namespace DualSparse.Engine;

/// <summary>Two thresholds on a pair's score, T_major ≤ T_minor; equal ones are 1T-Drop, zeros drop nothing.</summary>
/// <param name="Major">Below it a pair is skipped.</param>
/// <param name="Minor">Below it, and not below <paramref name="Major"/>, only the major half is computed.</param>
public readonly record struct DropThresholds(float Major, float Minor)
{
    /// <summary>Nothing is dropped.</summary>
    public static DropThresholds None => default;

    /// <summary>T ∓ δ, cut at 0 and 1.</summary>
    public static DropThresholds Around(float threshold, float delta) =>
        new(Math.Clamp(threshold - delta, 0, 1), Math.Clamp(threshold + delta, 0, 1));
}
