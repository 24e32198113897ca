using System.Numerics;
using System.Runtime.CompilerServices;
using DualSparse.Kernels.Ops;

namespace DualSparse.Training.Ops;

/// <summary>
/// The gated unit of an MLP, h = SiLU(g) ⊙ u with SiLU(g) = g · σ(g), over rows that one thread has: callers share experts and rows out.
/// </summary>
internal static unsafe class SwiGluOp
{
    /// <summary>h = SiLU(gate) ⊙ up, to the bits of the engine's <see cref="SwiGlu"/>.</summary>
    /// <param name="gate">[rows, width].</param>
    /// <param name="up">[rows, width].</param>
    /// <param name="stride">Floats from one row of gate and of up to the next.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="width">Neurons.</param>
    /// <param name="h">[rows, width], overwritten; may be gate or up itself.</param>
    /// <param name="hStride">Floats from one row of h to the next.</param>
    public static void Forward(float* gate, float* up, nint stride, int rows, int width, float* h, nint hStride)
    {
        for (int r = 0; r < rows; r++, gate += stride, up += stride, h += hStride)
            SwiGlu.Forward(new ReadOnlySpan<float>(gate, width), new ReadOnlySpan<float>(up, width), new Span<float>(h, width));
    }

    /// <summary>dup = dh ⊙ g·σ(g), dgate = dh ⊙ up ⊙ σ(g)·(1 + g·(1 − σ(g))).</summary>
    /// <param name="dh">[rows, width].</param>
    /// <param name="hStride">Floats from one row of dh to the next.</param>
    /// <param name="gate">[rows, width] as it went in.</param>
    /// <param name="up">[rows, width] as it went in.</param>
    /// <param name="stride">Floats from one row of gate and of up to the next.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="width">Neurons.</param>
    /// <param name="dGate">[rows, width], overwritten; may be gate or dh itself.</param>
    /// <param name="dUp">[rows, width], overwritten; may be up or dh itself.</param>
    /// <param name="dStride">Floats from one row of dgate and of dup to the next.</param>
    public static void Backward(float* dh, nint hStride, float* gate, float* up, nint stride, int rows, int width, float* dGate, float* dUp, nint dStride)
    {
        for (int r = 0; r < rows; r++, dh += hStride, gate += stride, up += stride, dGate += dStride, dUp += dStride)
            BackwardRow(dh, gate, up, width, dGate, dUp);
    }

    private static void BackwardRow(float* dh, float* gate, float* up, int width, float* dGate, float* dUp)
    {
        int step = Vector<float>.Count;
        int i = 0;
        for (; i + step <= width; i += step)
        {
            var (dg, du) = Gradients(Vector.Load(dh + i), Vector.Load(gate + i), Vector.Load(up + i));
            dg.Store(dGate + i);
            du.Store(dUp + i);
        }

        if (i == width)
            return;
        // The rest goes through a whole vector too, so that a neuron's result doesn't depend on its place.
        float* rest = stackalloc float[3 * step];
        int bytes = (width - i) * sizeof(float);
        Buffer.MemoryCopy(dh + i, rest, bytes, bytes);
        Buffer.MemoryCopy(gate + i, rest + step, bytes, bytes);
        Buffer.MemoryCopy(up + i, rest + 2 * step, bytes, bytes);
        var (dgRest, duRest) = Gradients(Vector.Load(rest), Vector.Load(rest + step), Vector.Load(rest + 2 * step));
        dgRest.Store(rest);
        duRest.Store(rest + step);
        Buffer.MemoryCopy(rest, dGate + i, bytes, bytes);
        Buffer.MemoryCopy(rest + step, dUp + i, bytes, bytes);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector<float> Gate, Vector<float> Up) Gradients(Vector<float> dh, Vector<float> gate, Vector<float> up)
    {
        var one = Vector<float>.One;
        var sigma = one / (one + Exp.Of<PortableSimd, Vector<float>>(-gate));
        return (dh * up * (sigma * (one + gate * (one - sigma))), dh * (gate * sigma));
    }
}
