using System.Numerics.Tensors;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Engine.Moe;

/// <summary>Chooses each token's experts and weighs them; scores are computed in f32 from the checkpoint's own weights.</summary>
/// <param name="config">Experts, top-k, scoring rule.</param>
/// <param name="gate">[experts, D] in f32.</param>
internal sealed unsafe class Router(MoeConfig config, Linear gate) : IDisposable
{
    /// <summary>E, routed experts.</summary>
    public int Experts => config.Experts;

    /// <summary>Routes a batch.</summary>
    /// <param name="work">Threads, kernels.</param>
    /// <param name="x">[tokens, D] f32, normalised.</param>
    /// <param name="tokens">Tokens.</param>
    /// <param name="logits">[tokens, experts] f32, scratch.</param>
    /// <param name="plan">Receives experts, weights and normalised scores; every pair full.</param>
    public void Route(Workspace work, float* x, int tokens, float* logits, RoutingPlan plan)
    {
        plan.Reset(tokens, config.TopK);
        gate.Forward(work, x, tokens, logits);
        for (int t = 0; t < tokens; t++)
        {
            int first = t * config.TopK;
            RouterRule.Choose(
                config,
                new Span<float>(logits + (nint)t * config.Experts, config.Experts),
                plan.Experts.Slice(first, config.TopK),
                plan.Weights.Slice(first, config.TopK),
                plan.Scores.Slice(first, config.TopK));
        }
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose() => gate.Dispose();
}

/// <summary>From one token's router logits to its experts: pure, no memory of its own.</summary>
internal static class RouterRule
{
    /// <summary>
    /// Softmax over all experts; the k best (under group-limited routing: of the groups whose best expert is best); weights are
    /// the scores, divided by their sum where the model renormalises, times the routed scaling factor.
    /// </summary>
    /// <param name="config">The rule.</param>
    /// <param name="logits">[experts], overwritten with scores.</param>
    /// <param name="experts">[k] receives the choice, best first; of equal scores the lower index.</param>
    /// <param name="weights">[k] receives what each output is multiplied with.</param>
    /// <param name="normalised">[k] receives ŝ, the scores over their sum, before any scaling.</param>
    public static void Choose(MoeConfig config, Span<float> logits, Span<int> experts, Span<float> weights, Span<float> normalised)
    {
        Softmax.Forward(logits, logits);
        Span<bool> barred = config.Groups > 1 ? stackalloc bool[logits.Length] : default;
        if (config.Groups > 1)
            BarGroups(config, logits, barred);
        float sum = 0;
        for (int k = 0; k < experts.Length; k++)
        {
            int best = -1;
            for (int e = 0; e < logits.Length; e++)
            {
                if ((barred.IsEmpty || !barred[e]) && (best < 0 || logits[e] > logits[best]) && !experts[..k].Contains(e))
                    best = e;
            }

            experts[k] = best;
            normalised[k] = logits[best];
            sum += logits[best];
        }

        float scale = config.RoutedScale / (config.NormTopK ? sum : 1);
        TensorPrimitives.Multiply(normalised, scale, weights);
        TensorPrimitives.Divide(normalised, sum, normalised);
    }

    private static void BarGroups(MoeConfig config, ReadOnlySpan<float> scores, Span<bool> barred)
    {
        int size = scores.Length / config.Groups;
        Span<float> best = stackalloc float[config.Groups];
        for (int g = 0; g < config.Groups; g++)
            best[g] = TensorPrimitives.Max(scores.Slice(g * size, size));
        barred.Fill(true);
        for (int n = 0; n < config.TopKGroups; n++)
        {
            int g = TensorPrimitives.IndexOfMax(best);
            best[g] = float.NegativeInfinity;
            barred.Slice(g * size, size).Clear();
        }
    }
}
