namespace DualSparse.Engine.Moe;

/// <summary>Two thresholds on the normalised gating score ŝ, T_major ≤ T_minor; equal ones are 1T-Drop, zeros drop nothing.</summary>
/// <param name="Major">Below it a pair is skipped.</param>
/// <param name="Minor">Below it, and not below <paramref name="Major"/>, only the major half is computed.</param>
public readonly record struct DropThresholds(float Major, float Minor)
{
    /// <summary>Nothing is dropped.</summary>
    public static DropThresholds None => default;
}

/// <summary>The drop decision (arXiv 2508.18376, §4.2): THE place where a pair becomes full, major or nothing.</summary>
public static class DropPolicy
{
    /// <summary>
    /// ŝ &lt; T_major: drop; T_major ≤ ŝ &lt; T_minor: major half; ŝ ≥ T_minor: full. The guard computes at least the major half
    /// of a token's best expert, so that no token loses its whole layer.
    /// </summary>
    public static Computation Decide(float score, bool best, DropThresholds thresholds, bool guard) =>
        score >= thresholds.Minor ? Computation.Full
        : score >= thresholds.Major || (best && guard) ? Computation.Major
        : Computation.Drop;

    /// <summary>Decides every pair of a plan by its score and its place among its token's experts.</summary>
    public static void Apply(RoutingPlan plan, DropThresholds thresholds, bool guard)
    {
        if (thresholds == DropThresholds.None)
        {
            plan.Computations.Clear();
            return;
        }

        var scores = plan.Scores;
        var computations = plan.Computations;
        for (int i = 0; i < scores.Length; i++)
            computations[i] = Decide(scores[i], i % plan.TopK == 0, thresholds, guard);
    }
}
