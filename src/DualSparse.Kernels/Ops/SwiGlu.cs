using System.Numerics;
using System.Runtime.CompilerServices;

namespace DualSparse.Kernels.Ops;

/// <summary>The gated unit between an expert's two products.</summary>
public static unsafe class SwiGlu
{
    /// <summary>y = SiLU(gate) ⊙ up, SiLU(g) = g / (1 + e^−g), in f32; a value's result depends on nothing but itself.</summary>
    /// <param name="gate">[neurons]. −∞ gives NaN, as it does in the formula; NaN gives NaN.</param>
    /// <param name="up">[neurons].</param>
    /// <param name="y">[neurons], overwritten; may be <paramref name="gate"/> or <paramref name="up"/> itself.</param>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Forward(ReadOnlySpan<float> gate, ReadOnlySpan<float> up, Span<float> y)
    {
        if (gate.Length != up.Length || gate.Length != y.Length)
            throw new ArgumentException($"expected equal lengths, found gate {gate.Length}, up {up.Length}, y {y.Length}");
        int width = Vector<float>.Count;
        int i = 0;
        fixed (float* g = gate, u = up, target = y)
        {
            for (; i + width <= y.Length; i += width)
                Of(Vector.Load(g + i), Vector.Load(u + i)).Store(target + i);
        }

        if (i == y.Length)
            return;
        // The rest goes through a whole vector too: a scalar path would round differently.
        float* rest = stackalloc float[2 * width];
        gate[i..].CopyTo(new Span<float>(rest, width));
        up[i..].CopyTo(new Span<float>(rest + width, width));
        Of(Vector.Load(rest), Vector.Load(rest + width)).Store(rest);
        new ReadOnlySpan<float>(rest, y.Length - i).CopyTo(y[i..]);
    }

    /// <summary>The same for rows of a product whose columns are <paramref name="neurons"/> gates, then as many ups.</summary>
    /// <param name="gatesAndUps">[rows, 2·neurons], dense.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="neurons">A multiple of 16.</param>
    /// <param name="y">[rows, neurons], overwritten.</param>
    /// <param name="stride">Floats from one row of y to the next.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Rows(float* gatesAndUps, int rows, int neurons, float* y, nint stride)
    {
        for (int r = 0; r < rows; r++, gatesAndUps += 2 * neurons, y += stride)
        {
            for (int i = 0; i < neurons; i += Vector<float>.Count)
                Of(Vector.Load(gatesAndUps + i), Vector.Load(gatesAndUps + neurons + i)).Store(y + i);
        }
    }

    /// <summary>As <see cref="Rows"/>, rounded to bf16.</summary>
    /// <param name="gatesAndUps">[rows, 2·neurons], dense; overwritten.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="neurons">A multiple of 16.</param>
    /// <param name="y">[rows, neurons] bf16, overwritten.</param>
    /// <param name="stride">Elements from one row of y to the next.</param>
    internal static void RowsBf16(float* gatesAndUps, int rows, int neurons, ushort* y, nint stride)
    {
        Rows(gatesAndUps, rows, neurons, gatesAndUps, 2 * neurons);
        for (int r = 0; r < rows; r++)
            Bf16.FromSingle(new ReadOnlySpan<float>(gatesAndUps + r * 2 * neurons, neurons), new Span<ushort>(y + r * stride, neurons));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> Of(Vector<float> gate, Vector<float> up) =>
        gate / (Vector<float>.One + Exp.Of<PortableSimd, Vector<float>>(-gate)) * up;
}
