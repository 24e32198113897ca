namespace DualSparse.Engine;

/// <summary>Two thresholds on a pair's score, T_major ≤ T_minor; equal ones are 1T-Drop, zeros drop nothing.</summary>
/// <param name="Major">A pair with a lower score is dropped.</param>
/// <param name="Minor">A pair with a lower score, but at least <paramref name="Major"/>, computes its major half only.</param>
public readonly record struct DropThresholds(float Major, float Minor)
{
    /// <summary>Nothing is dropped.</summary>
    public static DropThresholds None => default;

    /// <summary>T ∓ δ, clamped to 0…1.</summary>
    public static DropThresholds Around(float threshold, float delta) =>
        new(Math.Clamp(threshold - delta, 0, 1), Math.Clamp(threshold + delta, 0, 1));
}
