using System.Numerics.Tensors;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Threading;
using DualSparse.Models;

namespace DualSparse.Engine.Moe;

/// <summary>Chooses a token's experts from its router logits. Pure; each token by itself.</summary>
internal static unsafe class RouterRule
{
    // Tokens routed by one thread at a time: tens of microseconds, far more than it takes to hand them out.
    private const int TokensPerItem = 32;

    // Published models have 8; more get their scratch from the heap.
    private const int MaxGroupsOnStack = 64;

    /// <summary>Chooses the experts of a plan's tokens on all threads; their number changes no bit.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="config">The rule.</param>
    /// <param name="logits">[tokens, experts] f32, overwritten.</param>
    /// <param name="plan">The plan, reset to the tokens; receives experts, weights and normalised scores.</param>
    /// <param name="avoid">Whose first expert each token doesn't take again; null: any.</param>
    public static void Choose(ThreadTeam team, MoeConfig config, float* logits, RoutingPlan plan, RoutingPlan? avoid = null) =>
        team.For((plan.Tokens + TokensPerItem - 1) / TokensPerItem, (item, _) =>
        {
            for (int t = item * TokensPerItem; t < Math.Min(plan.Tokens, (item + 1) * TokensPerItem); t++)
            {
                int first = t * config.TopK;
                Choose(
                    config,
                    new Span<float>(logits + (nint)t * config.Experts, config.Experts),
                    plan.Experts.Slice(first, config.TopK),
                    plan.Weights.Slice(first, config.TopK),
                    plan.Scores.Slice(first, config.TopK),
                    Avoided(avoid, t));
            }
        });

    /// <summary>
    /// Softmax over all experts; the k best (under group-limited routing: of the groups whose best expert is best); weights are
    /// the scores, divided by their sum where the model renormalises, times the routed scaling factor.
    /// </summary>
    /// <param name="config">The rule.</param>
    /// <param name="logits">[experts], overwritten. A NaN or +∞ makes every score NaN: the first k experts are chosen, of the first groups.</param>
    /// <param name="experts">[k] receives the choice, best first; of equal scores the lower index.</param>
    /// <param name="weights">[k] receives the weight of each output.</param>
    /// <param name="normalised">[k] receives ŝ, the scores over their sum, before any scaling; a single expert's is its score, since its share says nothing.</param>
    /// <param name="avoid">An expert that isn't chosen, of at least k + 1; −1: none.</param>
    public static void Choose(MoeConfig config, Span<float> logits, Span<int> experts, Span<float> weights, Span<float> normalised, int avoid = -1)
    {
        Softmax.Forward(logits, logits);
        if (avoid >= 0)
            logits[avoid] = float.NegativeInfinity;
        if (config.Groups > 1)
            MaskGroups(config, logits);
        TopK.Select(logits, experts, normalised);
        float sum = 0;
        foreach (float score in normalised)
            sum += score;
        float scale = config.RoutedScale / (config.NormTopK ? sum : 1);
        TensorPrimitives.Multiply(normalised, scale, weights);
        if (normalised.Length > 1)
            TensorPrimitives.Divide(normalised, sum, normalised);
    }

    /// <summary>The expert that a token doesn't take again: the first of another plan's; −1: none.</summary>
    public static int Avoided(RoutingPlan? avoid, int token) => avoid is null ? -1 : avoid.Experts[token * avoid.TopK];

    // Sets the scores of groups that aren't chosen to −∞.
    private static void MaskGroups(MoeConfig config, Span<float> scores)
    {
        int groups = config.Groups, size = scores.Length / groups;
        Span<float> best = groups <= MaxGroupsOnStack ? stackalloc float[2 * MaxGroupsOnStack] : new float[2 * groups];
        Span<int> chosen = groups <= MaxGroupsOnStack ? stackalloc int[MaxGroupsOnStack] : new int[groups];
        for (int g = 0; g < groups; g++)
            best[g] = TensorPrimitives.Max(scores.Slice(g * size, size));
        chosen = chosen[..config.TopKGroups];
        TopK.Select(best[..groups], chosen, best.Slice(groups, config.TopKGroups));
        for (int g = 0; g < groups; g++)
        {
            if (!chosen.Contains(g))
                scores.Slice(g * size, size).Fill(float.NegativeInfinity);
        }
    }
}
