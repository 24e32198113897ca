using System.Numerics.Tensors;

namespace DualSparse.Evaluation;

/// <summary>Comparisons of two rows of logits, in double precision where they are summed.</summary>
public static class Distributions
{
    /// <summary>ln Σ e^x over a row of logits.</summary>
    public static double LogSumExp(ReadOnlySpan<float> logits)
    {
        float largest = TensorPrimitives.Max(logits);
        double sum = 0;
        foreach (float x in logits)
            sum += Math.Exp(x - largest);
        return largest + Math.Log(sum);
    }

    /// <summary>KL(p ‖ q) in nats, p and q the softmax of two rows of logits; never below 0.</summary>
    public static double KullbackLeibler(ReadOnlySpan<float> p, ReadOnlySpan<float> q) => KullbackLeibler(p, q, LogSumExp(p), LogSumExp(q));

    /// <summary>The same where the rows' <see cref="LogSumExp"/> are known.</summary>
    internal static double KullbackLeibler(ReadOnlySpan<float> p, ReadOnlySpan<float> q, double logP, double logQ)
    {
        double sum = 0;
        for (int i = 0; i < p.Length; i++)
            sum += Math.Exp(p[i] - logP) * ((p[i] - logP) - (q[i] - logQ));
        return Math.Max(0, sum);
    }

    /// <summary>The most probable id; of equals the first.</summary>
    public static int Best(ReadOnlySpan<float> logits) => TensorPrimitives.IndexOfMax(logits);
}
