using System.Numerics.Tensors;

namespace DualSparse.Engine;

/// <summary>
/// Rows of logits as distributions. Exponentials are computed in f32, a block at a time, and summed in double: the logarithm of a sum is
/// within about 1e-7 of the exact one.
/// </summary>
internal static class Distributions
{
    // Small enough for the stack, large enough that the cost of a call doesn't count.
    private const int Block = 1024;

    /// <summary>ln Σ e^x over a row of logits.</summary>
    public static double LogSumExp(ReadOnlySpan<float> logits)
    {
        float largest = TensorPrimitives.Max(logits);
        Span<float> scratch = stackalloc float[Block];
        double sum = 0;
        for (int first = 0; first < logits.Length; first += Block)
        {
            var part = logits.Slice(first, Math.Min(Block, logits.Length - first));
            var exponentials = scratch[..part.Length];
            TensorPrimitives.Subtract(part, largest, exponentials);
            TensorPrimitives.Exp<float>(exponentials, exponentials);
            sum += TensorPrimitives.Sum<float>(exponentials);
        }

        return largest + Math.Log(sum);
    }

    /// <summary>KL(p ‖ q) in nats, p and q the softmax of two rows of logits; never below 0.</summary>
    public static double KullbackLeibler(ReadOnlySpan<float> p, ReadOnlySpan<float> q) => KullbackLeibler(p, q, LogSumExp(p), LogSumExp(q));

    /// <summary>The same where the rows' <see cref="LogSumExp"/> are known: Σ p·(ln p̃ − ln q̃) over the logits, plus logQ − logP.</summary>
    internal static double KullbackLeibler(ReadOnlySpan<float> p, ReadOnlySpan<float> q, double logP, double logQ)
    {
        float shift = (float)logP;
        Span<float> scratch = stackalloc float[2 * Block];
        double sum = 0, difference = 0;
        for (int first = 0; first < p.Length; first += Block)
        {
            var part = p.Slice(first, Math.Min(Block, p.Length - first));
            Span<float> probabilities = scratch[..part.Length], gaps = scratch.Slice(Block, part.Length);
            TensorPrimitives.Subtract(part, shift, probabilities);
            TensorPrimitives.Exp<float>(probabilities, probabilities);
            TensorPrimitives.Subtract(part, q.Slice(first, part.Length), gaps);
            sum += TensorPrimitives.Sum<float>(probabilities);
            difference += TensorPrimitives.Dot<float>(probabilities, gaps);
        }

        // The probabilities' sum is 1 but for rounding, which a mean gap of several nats would multiply.
        return Math.Max(0, difference / sum + logQ - logP);
    }

    /// <summary>The most probable id; of equals the first.</summary>
    public static int Best(ReadOnlySpan<float> logits) => TensorPrimitives.IndexOfMax(logits);
}
