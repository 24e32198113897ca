using System.Numerics.Tensors;
using DualSparse.Kernels.Threading;

namespace DualSparse.Engine.Moe.Drop;

/// <summary>
/// Mean compensation of one layer: for what is dropped its mean output is added, y += w·mean, one vector addition in place of three
/// products. The weights of the other experts don't change.
/// </summary>
/// <param name="hidden">D.</param>
/// <param name="whole">[experts, D] an expert's mean output over pairs that are likely to be dropped.</param>
/// <param name="minor">[experts, D] the mean output of its minor half over the same pairs.</param>
internal sealed unsafe class Compensation(int hidden, float[] whole, float[] minor)
{
    // Tokens that one thread takes at a time.
    private const int TokensPerItem = 16;

    /// <summary>[experts, D] of whole experts.</summary>
    public ReadOnlySpan<float> Whole => whole;

    /// <summary>[experts, D] of minor halves.</summary>
    public ReadOnlySpan<float> Minor => minor;

    /// <summary>Adds the means of what is dropped for some tokens.</summary>
    /// <param name="team">Threads.</param>
    /// <param name="plan">The routing, decided.</param>
    /// <param name="first">The first token.</param>
    /// <param name="count">The number of tokens.</param>
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
