using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using DualSparse.Kernels.Threading;

namespace DualSparse.Kernels.Ops;

/// <summary>The Gaussian error linear unit, x·Φ(x) (arXiv 1606.08415), or its approximation by tanh.</summary>
internal static unsafe class Gelu
{
    // √(2/π), and the cubic term's factor of the approximation.
    private const float Slope = 0.7978845608f, Cubic = 0.044715f;

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

    /// <summary>x = x · Φ(x), Φ(x) = (1 + erf(x/√2)) / 2, in place.</summary>
    public static void Exact(Span<float> x)
    {
        int width = Vector<float>.Count, i = 0;
        fixed (float* values = x)
        {
            for (; i + width <= x.Length; i += width)
                (Vector.Load(values + i) * Normal(Vector.Load(values + i))).Store(values + i);
        }

        if (i == x.Length)
            return;
        // The rest goes through a whole vector too, so that a value doesn't depend on its place.
        float* rest = stackalloc float[width];
        x[i..].CopyTo(new Span<float>(rest, width));
        (Vector.Load(rest) * Normal(Vector.Load(rest))).Store(rest);
        new ReadOnlySpan<float>(rest, x.Length - i).CopyTo(x[i..]);
    }

    /// <summary>Φ of each lane, within 10⁻⁷ (Abramowitz and Stegun 7.1.26).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<float> Normal(Vector<float> x)
    {
        var one = Vector<float>.One;
        // 0.3275911 / √2.
        var t = one / (one + Vector.Abs(x) * 0.231641888f);
        var p = t * (new Vector<float>(0.254829592f) + t * (new Vector<float>(-0.284496736f) + t * (new Vector<float>(1.421413741f) + t * (new Vector<float>(-1.453152027f) + t * 1.061405429f))));
        var tail = p * Exp.Of<PortableSimd, Vector<float>>(x * x * -0.5f) * 0.5f;
        return Vector.ConditionalSelect(Vector.LessThan(x, Vector<float>.Zero), tail, one - tail);
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
}
