using System.Numerics;
using System.Runtime.CompilerServices;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Threading;

namespace DualSparse.Training.Ops;

/// <summary>The gradient of <see cref="Gelu"/>, in both of its forms.</summary>
internal static unsafe class GeluOp
{
    // Values that one thread does at a time.
    private const int Block = 1024;

    // √(2/π), the cubic term's factor of the form by tanh, and 1/√(2π).
    private const float Slope = 0.7978845608f, Cubic = 0.044715f, Density = 0.3989422804f;

    /// <summary>d = d · gelu′(x): exact Φ(x) + x·φ(x); by tanh, with z = 2·√(2/π)·(x + 0.044715·x³), σ(z) + x·σ(z)·(1 − σ(z))·z′.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="d">[count] f32: the gradient of what came out, and then of what went in.</param>
    /// <param name="x">[count] f32: what went in.</param>
    /// <param name="count">Values.</param>
    /// <param name="exact">Which form.</param>
    public static void Backward(ThreadTeam team, float* d, float* x, nint count, bool exact) => team.For((int)((count + Block - 1) / Block), (item, _) =>
    {
        nint i = (nint)item * Block, end = Math.Min(count, i + Block);
        int width = Vector<float>.Count;
        for (; i + width <= end; i += width)
            (Vector.Load(d + i) * Slopes(Vector.Load(x + i), exact)).Store(d + i);
        if (i == end)
            return;
        // The rest goes through a whole vector too.
        float* rest = stackalloc float[width];
        new Span<float>(x + i, (int)(end - i)).CopyTo(new Span<float>(rest, width));
        Slopes(Vector.Load(rest), exact).Store(rest);
        for (int lane = 0; i < end; i++, lane++)
            d[i] *= rest[lane];
    });

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> Slopes(Vector<float> x, bool exact)
    {
        if (exact)
            return Gelu.Normal(x) + x * Exp.Of<PortableSimd, Vector<float>>(x * x * -0.5f) * Density;
        var one = Vector<float>.One;
        var square = x * x * Cubic;
        var sigma = one / (one + Exp.Of<PortableSimd, Vector<float>>(x * (one + square) * (-2 * Slope)));
        return sigma + x * sigma * (one - sigma) * (one + 3 * square) * (2 * Slope);
    }
}
