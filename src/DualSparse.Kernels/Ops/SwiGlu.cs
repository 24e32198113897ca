using System.Numerics;
using System.Runtime.CompilerServices;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Ops;

/// <summary>The gated unit between an expert's two products.</summary>
internal static unsafe class SwiGlu
{
    /// <summary>y = SiLU(gate) ⊙ up, SiLU(g) = g / (1 + e^−g), in f32; element by element.</summary>
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

    /// <summary>The same for panels of a product whose columns are <see cref="NeuronLayout.PerPanel"/> gates, then as many ups.</summary>
    /// <param name="gatesAndUps">[panels, rows, 32], dense.</param>
    /// <param name="panels">Panels.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="y">[rows, 16·panels], overwritten.</param>
    /// <param name="stride">Floats from one row of y to the next.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Panels(float* gatesAndUps, int panels, int rows, float* y, nint stride)
    {
        const int neurons = NeuronLayout.PerPanel;
        for (int p = 0; p < panels; p++)
        {
            float* row = y + p * neurons;
            for (int r = 0; r < rows; r++, gatesAndUps += 2 * neurons, row += stride)
            {
                for (int i = 0; i < neurons; i += Vector<float>.Count)
                    Of(Vector.Load(gatesAndUps + i), Vector.Load(gatesAndUps + neurons + i)).Store(row + i);
            }
        }
    }

    /// <summary>As <see cref="Panels"/>, rounded to bf16.</summary>
    /// <param name="gatesAndUps">[panels, rows, 32], dense; overwritten.</param>
    /// <param name="panels">Panels.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="y">[rows, 16·panels] bf16, overwritten.</param>
    /// <param name="stride">Elements from one row of y to the next.</param>
    internal static void PanelsBf16(float* gatesAndUps, int panels, int rows, ushort* y, nint stride)
    {
        const int neurons = NeuronLayout.PerPanel;
        Panels(gatesAndUps, 1, panels * rows, gatesAndUps, 2 * neurons);
        for (int p = 0; p < panels; p++)
        {
            for (int r = 0; r < rows; r++, gatesAndUps += 2 * neurons)
                Bf16.FromSingle(new ReadOnlySpan<float>(gatesAndUps, neurons), new Span<ushort>(y + p * neurons + r * stride, neurons));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> Of(Vector<float> gate, Vector<float> up) =>
        gate / (Vector<float>.One + Exp.Of<PortableSimd, Vector<float>>(-gate)) * up;
}
