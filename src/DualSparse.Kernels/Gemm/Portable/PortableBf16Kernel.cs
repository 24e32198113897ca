using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Gemm.Portable;

/// <summary>bf16 weights, widened in registers, and f32 rows by 128-bit vectors, fused multiply-adds where the platform has them.</summary>
internal sealed unsafe class PortableBf16Kernel() : OnePanelKernel("vector", WeightFormat.Bf16, ActivationFormat.F32)
{
    private const int Columns = PanelLayout.Columns;

    protected override void MultiplyOne(in PanelArgs args)
    {
        nint stride = args.RowBytes / sizeof(float), r = 0;
        var weights = (uint*)args.Panel;
        for (; r + 4 <= args.RowCount; r += 4)
        {
            for (int c = 0; c < Columns; c += 8)
                Rows4((float*)args.Rows + r * stride, stride, weights + c, args.Result + r * Columns + c, args.Inputs);
        }

        for (; r < args.RowCount; r++)
        {
            for (int c = 0; c < Columns; c += 16)
                Rows1((float*)args.Rows + r * stride, weights + c, args.Result + r * Columns + c, args.Inputs);
        }
    }

    // A step holds, for each output, the weights of inputs k (low half) and k + 1 (high half): widening is a shift or a mask.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Even(uint* weights) => (Vector128.Load(weights) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Odd(uint* weights) => (Vector128.Load(weights) & Vector128.Create(0xFFFF0000u)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows4(float* row, nint stride, uint* weights, float* result, nint inputs)
    {
        Vector128<float> s00 = default, s01 = default;
        Vector128<float> s10 = default, s11 = default;
        Vector128<float> s20 = default, s21 = default;
        Vector128<float> s30 = default, s31 = default;
        for (nint k = 0; k < inputs; k += 2, row += 2, weights += PanelLayout.Columns)
        {
            var w0 = Even(weights);
            var w1 = Even(weights + 4);
            var x = Vector128.Create(row[0]);
            s00 = Vector128.MultiplyAddEstimate(x, w0, s00);
            s01 = Vector128.MultiplyAddEstimate(x, w1, s01);
            x = Vector128.Create(row[stride]);
            s10 = Vector128.MultiplyAddEstimate(x, w0, s10);
            s11 = Vector128.MultiplyAddEstimate(x, w1, s11);
            x = Vector128.Create(row[2 * stride]);
            s20 = Vector128.MultiplyAddEstimate(x, w0, s20);
            s21 = Vector128.MultiplyAddEstimate(x, w1, s21);
            x = Vector128.Create(row[3 * stride]);
            s30 = Vector128.MultiplyAddEstimate(x, w0, s30);
            s31 = Vector128.MultiplyAddEstimate(x, w1, s31);
            w0 = Odd(weights);
            w1 = Odd(weights + 4);
            x = Vector128.Create(row[1]);
            s00 = Vector128.MultiplyAddEstimate(x, w0, s00);
            s01 = Vector128.MultiplyAddEstimate(x, w1, s01);
            x = Vector128.Create(row[stride + 1]);
            s10 = Vector128.MultiplyAddEstimate(x, w0, s10);
            s11 = Vector128.MultiplyAddEstimate(x, w1, s11);
            x = Vector128.Create(row[2 * stride + 1]);
            s20 = Vector128.MultiplyAddEstimate(x, w0, s20);
            s21 = Vector128.MultiplyAddEstimate(x, w1, s21);
            x = Vector128.Create(row[3 * stride + 1]);
            s30 = Vector128.MultiplyAddEstimate(x, w0, s30);
            s31 = Vector128.MultiplyAddEstimate(x, w1, s31);
        }

        s00.Store(result);
        s01.Store(result + 4);
        s10.Store(result + Columns);
        s11.Store(result + Columns + 4);
        s20.Store(result + 2 * Columns);
        s21.Store(result + 2 * Columns + 4);
        s30.Store(result + 3 * Columns);
        s31.Store(result + 3 * Columns + 4);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows1(float* row, uint* weights, float* result, nint inputs)
    {
        Vector128<float> s00 = default, s01 = default, s02 = default, s03 = default;
        for (nint k = 0; k < inputs; k += 2, row += 2, weights += PanelLayout.Columns)
        {
            var w0 = Even(weights);
            var w1 = Even(weights + 4);
            var w2 = Even(weights + 8);
            var w3 = Even(weights + 12);
            var x = Vector128.Create(row[0]);
            s00 = Vector128.MultiplyAddEstimate(x, w0, s00);
            s01 = Vector128.MultiplyAddEstimate(x, w1, s01);
            s02 = Vector128.MultiplyAddEstimate(x, w2, s02);
            s03 = Vector128.MultiplyAddEstimate(x, w3, s03);
            w0 = Odd(weights);
            w1 = Odd(weights + 4);
            w2 = Odd(weights + 8);
            w3 = Odd(weights + 12);
            x = Vector128.Create(row[1]);
            s00 = Vector128.MultiplyAddEstimate(x, w0, s00);
            s01 = Vector128.MultiplyAddEstimate(x, w1, s01);
            s02 = Vector128.MultiplyAddEstimate(x, w2, s02);
            s03 = Vector128.MultiplyAddEstimate(x, w3, s03);
        }

        s00.Store(result);
        s01.Store(result + 4);
        s02.Store(result + 8);
        s03.Store(result + 12);
    }
}
