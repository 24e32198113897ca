using System.Numerics.Tensors;
using DualSparse.Kernels.Threading;

namespace DualSparse.Kernels.Ops;

/// <summary>The Gaussian error linear unit, x·Φ(x) (arXiv 1606.08415), or its approximation by tanh.</summary>
internal static unsafe class Gelu
{
    // √(2/π), and the cubic term's factor of the approximation.
    private const float Slope = 0.7978845608f, Cubic = 0.044715f;

    // Beyond it erf differs from 1 by less than 10⁻¹⁶.
    private const double Largest = 6;

    // Values computed at a time: they stay in the nearest cache, and are some microseconds of work.
    private const int Block = 1024;

    /// <summary>x = x · (1 + tanh(√(2/π)·(x + 0.044715·x³))) / 2 = x · σ(2·√(2/π)·(x + 0.044715·x³)), in place.</summary>
    public static void Tanh(Span<float> x)
    {
        Span<float> inner = stackalloc float[Math.Min(Block, x.Length)];
        for (; x.Length > 0; x = x[inner.Length..])
        {
            inner = inner[..Math.Min(inner.Length, x.Length)];
            var part = x[..inner.Length];
            TensorPrimitives.Multiply(part, part, inner);
            TensorPrimitives.Multiply(inner, Cubic, inner);
            TensorPrimitives.Add(inner, 1f, inner);
            TensorPrimitives.Multiply(inner, part, inner);
            TensorPrimitives.Multiply(inner, 2 * Slope, inner);
            TensorPrimitives.Sigmoid<float>(inner, inner);
            TensorPrimitives.Multiply(part, inner, part);
        }
    }

    /// <summary>x = x · (1 + erf(x/√2)) / 2, in place.</summary>
    public static void Exact(Span<float> x)
    {
        foreach (ref float value in x)
            value = (float)(value * 0.5 * (1 + Erf(value / Math.Sqrt(2))));
    }

    /// <summary>Applies one of them to values on all threads.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="x">[count] f32, overwritten.</param>
    /// <param name="count">Values.</param>
    /// <param name="exact">Which.</param>
    public static void Forward(ThreadTeam team, float* x, nint count, bool exact) => team.For((int)((count + Block - 1) / Block), (item, _) =>
    {
        nint first = (nint)item * Block;
        var values = new Span<float>(x + first, (int)Math.Min(Block, count - first));
        if (exact)
            Exact(values);
        else
            Tanh(values);
    });

    // erf(x) = 2/√π · e^(−x²) · Σ 2ⁿ·x^(2n+1) / (1·3·…·(2n+1)) (Abramowitz and Stegun 7.1.6): all terms have one sign, so nothing cancels.
    private static double Erf(double x)
    {
        if (!(Math.Abs(x) < Largest))
            return double.IsNaN(x) ? x : Math.Sign(x);
        double term = x, sum = x;
        for (int n = 1; Math.Abs(term) > 1e-12 * Math.Abs(sum); n++)
            sum += term *= 2 * x * x / (2 * n + 1);
        return 2 / Math.Sqrt(Math.PI) * Math.Exp(-x * x) * sum;
    }
}
