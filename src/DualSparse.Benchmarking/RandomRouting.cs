using DualSparse.Engine.Moe;
using DualSparse.Models;

namespace DualSparse.Benchmarking;

/// <summary>
/// Routing like a trained model's: router logits are normal with a standard deviation of 2, of which an expert's popularity has 0.5. With
/// 64 experts and 8 a token the best normalised score is then near 0.4 and the last near 0.04, so that there are pairs of every weight.
/// </summary>
internal static class RandomRouting
{
    private const double Popularity = 0.5, Deviation = 2;

    public static RoutingPlan Make(LayerShape shape, int tokens, int seed)
    {
        var random = new Random(seed);
        var config = new MoeConfig { Experts = shape.Experts, TopK = shape.TopK, Intermediate = shape.Neurons, NormTopK = true };
        var popularity = Enumerable.Range(0, shape.Experts).Select(_ => Popularity * Normal(random)).ToArray();
        double rest = Math.Sqrt(Deviation * Deviation - Popularity * Popularity);
        var plan = new RoutingPlan();
        plan.Reset(tokens, shape.TopK);
        var logits = new float[shape.Experts];
        for (int t = 0; t < tokens; t++)
        {
            for (int e = 0; e < logits.Length; e++)
                logits[e] = (float)(popularity[e] + rest * Normal(random));
            var range = t * shape.TopK;
            RouterRule.Choose(
                config, logits, plan.Experts.Slice(range, shape.TopK), plan.Weights.Slice(range, shape.TopK), plan.Scores.Slice(range, shape.TopK));
        }

        return plan;
    }

    /// <summary>Gives each token of a layer experts that no earlier token has; plan s belongs to layer s mod <paramref name="layers"/>.</summary>
    public static void AssignDistinctExperts(LayerShape shape, IReadOnlyList<RoutingPlan> plans, int layers)
    {
        for (int layer = 0; layer < layers; layer++)
        {
            int[] order = [.. Enumerable.Range(0, shape.Experts)];
            new Random(layer).Shuffle(order);
            for (int s = layer, first = 0; s < plans.Count; s += layers, first += shape.TopK)
                order.AsSpan(first, shape.TopK).CopyTo(plans[s].Experts);
        }
    }

    private static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
