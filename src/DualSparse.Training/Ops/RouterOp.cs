using System.Numerics;
using System.Numerics.Tensors;
using DualSparse.Engine.Moe;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Threading;
using DualSparse.Models;

namespace DualSparse.Training.Ops;

/// <summary>From router logits to experts and weights, p = softmax(logits), and back.</summary>
internal static unsafe class RouterOp
{
    // Tokens that one thread does at a time. Sums over tokens are made by these chunks, whatever the threads.
    private const int TokensPerItem = 64;

    /// <summary>Routes tokens by the engine's <see cref="RouterRule"/>.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="config">The rule.</param>
    /// <param name="logits">[tokens, E] f32; p in their place afterwards.</param>
    /// <param name="tokens">Tokens.</param>
    /// <param name="plan">Receives experts, weights and normalised scores.</param>
    /// <param name="logSums">[tokens] receives log Σ e^logit.</param>
    /// <param name="avoid">Whose first expert each token doesn't take again; null: any.</param>
    /// <returns>The sums over tokens.</returns>
    public static RouterTotals Forward(ThreadTeam team, MoeConfig config, float* logits, int tokens, RoutingPlan plan, float* logSums, RoutingPlan? avoid = null)
    {
        int experts = config.Experts, items = (tokens + TokensPerItem - 1) / TokensPerItem;
        plan.Reset(tokens, config.TopK);
        using var memory = new AlignedBuffer((nuint)items * (nuint)experts * sizeof(float));
        float* sums = (float*)memory.Pointer;
        team.For(items, (item, _) =>
        {
            var sum = new Span<float>(sums + (nint)item * experts, experts);
            sum.Clear();
            for (int t = item * TokensPerItem; t < Math.Min(tokens, (item + 1) * TokensPerItem); t++)
            {
                var row = new Span<float>(logits + (nint)t * experts, experts);
                float max = TensorPrimitives.Max<float>(row);
                Route(config, row, plan, t, RouterRule.Avoided(avoid, t));
                // The largest logit's probability is 1 / Σ e^(logit − max).
                logSums[t] = (float)(max - Math.Log(TensorPrimitives.Max<float>(row)));
                TensorPrimitives.Add(sum, row, sum);
            }
        });
        var totals = new RouterTotals(experts) { Tokens = tokens };
        for (int item = 0; item < items; item++)
        {
            for (int e = 0; e < experts; e++)
                totals.Probabilities[e] += sums[(nint)item * experts + e];
        }

        for (int t = 0; t < tokens; t++)
            totals.SquaredLogSums += (double)logSums[t] * logSums[t];
        foreach (int expert in plan.Experts)
            totals.Pairs[expert]++;
        return totals;
    }

    /// <summary>
    /// dp_e = c_e for every expert and, of those chosen, + dw_e · s without renormalisation (w = s·p), or
    /// + (dw_e − Σ_j dw_j·p_j/P) · s/P with it (w = s·p/P, P = Σ_j p_j over the chosen);
    /// dlogit_e = p_e · (dp_e − Σ_j p_j·dp_j) + z · 2 · log Σ e^logit · p_e.
    /// </summary>
    /// <param name="team">The threads.</param>
    /// <param name="config">The rule.</param>
    /// <param name="plan">As the forward pass left it.</param>
    /// <param name="probabilities">[tokens, E] p.</param>
    /// <param name="logSums">[tokens] as the forward pass left them.</param>
    /// <param name="dWeights">[tokens, k] the gradient of the plan's weights.</param>
    /// <param name="balance">[E] c, the gradient of every token's p (<see cref="BalanceLoss.Gradient"/>).</param>
    /// <param name="z">The gradient of each token's squared log-sum.</param>
    /// <param name="dLogits">[tokens, E], overwritten; may be <paramref name="probabilities"/> itself.</param>
    public static void Backward(
        ThreadTeam team, MoeConfig config, RoutingPlan plan, float* probabilities, float* logSums, float* dWeights, float[] balance, float z, float* dLogits)
    {
        int experts = config.Experts, tokens = plan.Tokens, k = plan.TopK;
        team.For((tokens + TokensPerItem - 1) / TokensPerItem, (item, _) =>
        {
            Span<float> chosen = new float[k];
            for (int t = item * TokensPerItem; t < Math.Min(tokens, (item + 1) * TokensPerItem); t++)
            {
                var p = new ReadOnlySpan<float>(probabilities + (nint)t * experts, experts);
                var ids = plan.Experts.Slice(t * k, k);
                // p·dp of the chosen, without c.
                Chosen(config, p, ids, new ReadOnlySpan<float>(dWeights + (nint)t * k, k), chosen);
                float all = Dot(p, balance);
                foreach (float one in chosen)
                    all += one;
                var d = new Span<float>(dLogits + (nint)t * experts, experts);
                Dense(p, balance, 2 * z * logSums[t] - all, d);
                for (int j = 0; j < k; j++)
                    d[ids[j]] += chosen[j];
            }
        });
    }

    // One token; its logits become p.
    private static void Route(MoeConfig config, Span<float> row, RoutingPlan plan, int token, int avoid)
    {
        int k = plan.TopK;
        Span<float> choice = row;
        if (config.Groups > 1 || avoid >= 0)
        {
            // The rule masks what may not be chosen.
            choice = row.ToArray();
            Softmax.Forward(row, row);
        }

        RouterRule.Choose(config, choice, plan.Experts.Slice(token * k, k), plan.Weights.Slice(token * k, k), plan.Scores.Slice(token * k, k), avoid);
    }

    private static void Chosen(MoeConfig config, ReadOnlySpan<float> p, ReadOnlySpan<int> ids, ReadOnlySpan<float> dWeights, Span<float> result)
    {
        float sum = 0, mean = 0;
        for (int j = 0; j < ids.Length; j++)
        {
            sum += p[ids[j]];
            mean += dWeights[j] * p[ids[j]];
        }

        var (shift, scale) = config.NormTopK ? (mean / sum, config.RoutedScale / sum) : (0, config.RoutedScale);
        for (int j = 0; j < ids.Length; j++)
            result[j] = (dWeights[j] - shift) * scale * p[ids[j]];
    }

    // In one order for each length, wherever the values lie.
    private static float Dot(ReadOnlySpan<float> p, ReadOnlySpan<float> c)
    {
        var lanes = Vector<float>.Zero;
        int i = 0;
        for (; i + Vector<float>.Count <= p.Length; i += Vector<float>.Count)
            lanes += new Vector<float>(p[i..]) * new Vector<float>(c[i..]);
        float sum = Vector.Sum(lanes);
        for (; i < p.Length; i++)
            sum += p[i] * c[i];
        return sum;
    }

    // d = p · (c + addend).
    private static void Dense(ReadOnlySpan<float> p, ReadOnlySpan<float> c, float addend, Span<float> d)
    {
        var addends = new Vector<float>(addend);
        int i = 0;
        for (; i + Vector<float>.Count <= d.Length; i += Vector<float>.Count)
            (new Vector<float>(p[i..]) * (new Vector<float>(c[i..]) + addends)).CopyTo(d[i..]);
        for (; i < d.Length; i++)
            d[i] = p[i] * (c[i] + addend);
    }
}
