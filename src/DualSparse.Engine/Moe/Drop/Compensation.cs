using System.Numerics.Tensors;
using DualSparse.Kernels.Threading;

namespace DualSparse.Engine.Moe.Drop;

/// <summary>
/// Mean compensation of one layer: what is dropped leaves its mean output behind, y += w·mean, one addition of a vector where the
/// whole would be three products. The kept experts' weights stay as they are.
/// </summary>
/// <param name="hidden">D.</param>
/// <param name="whole">[experts, D] the mean output of an expert over pairs that are likely to be dropped.</param>
/// <param name="minor">[experts, D] the same of its minor half.</param>
internal sealed unsafe class Compensation(int hidden, float[] whole, float[] minor)
{
    // Tokens that one thread takes at a time.
    private const int TokensPerItem = 16;

    /// <summary>[experts, D] of whole experts.</summary>
    public ReadOnlySpan<float> Whole => whole;

    /// <summary>[experts, D] of minor halves.</summary>
    public ReadOnlySpan<float> Minor => minor;

    /// <summary>Adds the means of what a plan leaves out of some of its tokens.</summary>
    /// <param name="team">Threads.</param>
    /// <param name="plan">Decided.</param>
    /// <param name="first">The first token.</param>
    /// <param name="count">How many.</param>
    /// <param name="y">[tokens, D] f32 of the whole plan, added to.</param>
    public void Add(ThreadTeam team, RoutingPlan plan, int first, int count, float* y) => team.For((count + TokensPerItem - 1) / TokensPerItem, (item, _) =>
    {
        for (int t = first + item * TokensPerItem; t < first + Math.Min(count, (item + 1) * TokensPerItem); t++)
        {
            var sum = new Span<float>(y + (nint)t * hidden, hidden);
            for (int i = t * plan.TopK; i < (t + 1) * plan.TopK; i++)
            {
                if (plan.Computations[i] == Computation.Full)
                    continue;
                float[] means = plan.Computations[i] == Computation.Drop ? whole : minor;
                TensorPrimitives.MultiplyAdd(means.AsSpan(plan.Experts[i] * hidden, hidden), plan.Weights[i], sum, sum);
            }
        }
    });
}
