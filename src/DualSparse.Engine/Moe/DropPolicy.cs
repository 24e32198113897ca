namespace DualSparse.Engine.Moe;

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

/// <summary>The drop decision (arXiv 2508.18376, §4.2): THE place where a pair becomes full, major or nothing.</summary>
public static class DropPolicy
{
    /// <summary>
    /// score &lt; T_major: drop; T_major ≤ score &lt; T_minor: major half; score ≥ T_minor: full. The guard computes at least the
    /// major half of a token's best expert, so that no token loses its whole layer.
    /// </summary>
    public static Computation Decide(float score, bool best, DropThresholds thresholds, bool guard) =>
        score >= thresholds.Minor ? Computation.Full
        : score >= thresholds.Major || (best && guard) ? Computation.Major
        : Computation.Drop;

    /// <summary>Decides every pair of a plan.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="rule">The layer's rule; null drops nothing.</param>
    public static void Apply(RoutingPlan plan, LayerRule? rule) => Apply(plan, rule, 0, plan.Tokens);

    /// <summary>Decides the pairs of some of a plan's tokens.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="rule">The layer's rule; null drops nothing.</param>
    /// <param name="first">The first token.</param>
    /// <param name="count">How many.</param>
    public static void Apply(RoutingPlan plan, LayerRule? rule, int first, int count)
    {
        plan.Computations.Slice(first * plan.TopK, count * plan.TopK).Clear();
        if (rule is null)
            return;
        Span<float> scores = stackalloc float[plan.TopK];
        for (int t = first; t < first + count; t++)
        {
            rule.Scores(plan, t, scores);
            for (int k = 0; k < scores.Length; k++)
                plan.Computations[t * plan.TopK + k] = Decide(scores[k], k == 0, rule.Of(plan.Experts[t * plan.TopK + k]), rule.Guard);
        }
    }
}
