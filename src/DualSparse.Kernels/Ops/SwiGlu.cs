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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> Of(Vector<float> gate, Vector<float> up) =>
        gate / (Vector<float>.One + Exp.Of<PortableSimd, Vector<float>>(-gate)) * up;
}
