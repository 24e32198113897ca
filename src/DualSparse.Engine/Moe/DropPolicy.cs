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
    /// <param name="layer">The layer's rule; null drops nothing.</param>
    public static void Apply(RoutingPlan plan, LayerRule? layer) => Apply(plan, layer, layer, []);

    /// <summary>Decides every pair of a plan whose tokens are partly a prompt's, partly generated ones.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="prompt">The rule of a prompt's tokens; null drops nothing.</param>
    /// <param name="generation">The rule of generated tokens.</param>
    /// <param name="generated">[tokens] which is which; empty: all are a prompt's.</param>
    public static void Apply(RoutingPlan plan, LayerRule? prompt, LayerRule? generation, ReadOnlySpan<bool> generated)
    {
        plan.Computations.Clear();
        if (prompt is null && generation is null)
            return;
        Span<float> scores = stackalloc float[plan.TopK];
        for (int t = 0; t < plan.Tokens; t++)
        {
            if ((generated.IsEmpty || !generated[t] ? prompt : generation) is not { } rule)
                continue;
            int first = t * plan.TopK;
            var experts = plan.Experts.Slice(first, plan.TopK);
            DropScores.Of(rule.Score, experts, plan.Weights.Slice(first, plan.TopK), plan.Scores.Slice(first, plan.TopK), rule.Norms, scores);
            for (int k = 0; k < scores.Length; k++)
                plan.Computations[first + k] = Decide(scores[k], k == 0, rule.Of(experts[k]), rule.Guard);
        }
    }
}
