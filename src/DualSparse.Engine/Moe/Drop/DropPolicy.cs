using DualSparse.Engine.Moe.Balance;

namespace DualSparse.Engine.Moe.Drop;

/// <summary>The drop decision (arXiv 2508.18376, §4.2): THE place where a pair becomes full, major or nothing.</summary>
internal static class DropPolicy
{
    /// <summary>
    /// score &lt; T_major: drop; T_major ≤ score &lt; T_minor: major half; score ≥ T_minor: full. The guard computes at least the
    /// major half of a token's best expert, so that no token loses its whole layer.
    /// </summary>
    public static Computation Decide(float score, bool best, DropThresholds thresholds, bool guard) =>
        score >= thresholds.Minor ? Computation.Full
        : score >= thresholds.Major || (best && guard) ? Computation.Major
        : Computation.Drop;

    /// <summary>Decides every pair of a routing by fixed thresholds.</summary>
    /// <param name="routing">The routing.</param>
    /// <param name="rule">The layer's rule; null drops nothing.</param>
    public static void Apply(RoutingPlan routing, LayerRule? rule) => Apply(routing, 0, routing.Tokens, rule, null, FixedThresholds.Instance);

    /// <summary>Decides the pairs of one text's tokens.</summary>
    /// <param name="routing">The layer's routing.</param>
    /// <param name="first">The first token.</param>
    /// <param name="count">The number of tokens.</param>
    /// <param name="rule">The layer's rule; null drops nothing.</param>
    /// <param name="adaptive">The rule by which adaptive thresholds observe scores; null: thresholds are fixed.</param>
    /// <param name="source">The text's thresholds.</param>
    /// <param name="levels">Receives at which share of its thresholds each pair is dropped, where it keeps them; null: nobody asks.</param>
    public static void Apply(RoutingPlan routing, int first, int count, LayerRule? rule, LayerRule? adaptive, IThresholdSource source, DropLevels? levels = null)
    {
        routing.Computations.Slice(first * routing.TopK, count * routing.TopK).Clear();
        if (rule is null && adaptive is null)
            return;
        Span<float> scores = stackalloc float[routing.TopK];
        for (int t = first; t < first + count; t++)
        {
            var experts = routing.Experts.Slice(t * routing.TopK, routing.TopK);
            if (rule is not null)
            {
                rule.Scores(routing, t, scores);
                var thresholds = source.Next(rule, experts, scores);
                for (int k = 0; k < scores.Length; k++)
                {
                    routing.Computations[t * routing.TopK + k] = Decide(scores[k], k == 0, thresholds[experts[k]], rule.Guard);
                    if (levels?.Count > 0)
                        levels.Set(t * routing.TopK + k, scores[k], k == 0, thresholds[experts[k]], rule.Guard);
                }
            }

            if (adaptive is null)
                continue;
            if (adaptive != rule)
                adaptive.Scores(routing, t, scores);
            source.Observe(adaptive, experts, scores);
        }
    }
}
