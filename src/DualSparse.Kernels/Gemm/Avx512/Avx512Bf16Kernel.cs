using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Gemm.Avx512;

/// <summary>bf16 weights, widened in registers, and f32 rows by 512-bit fused multiply-adds, in tiles of 8 rows × 32 outputs.</summary>
internal sealed unsafe class Avx512Bf16Kernel() : OnePanelKernel("avx512", WeightFormat.Bf16, ActivationFormat.F32)
{
    private const int Columns = PanelLayout.Columns;

    public override long RunCeiling(int rounds) => Avx512Ceiling.Fma(rounds);

    protected override void MultiplyOne(in PanelArgs args)
    {
        nint stride = args.RowBytes / sizeof(float), r = 0;
        var weights = (uint*)args.Panel;
        for (; r + 8 <= args.RowCount; r += 8)
            Rows8((float*)args.Rows + r * stride, stride, weights, args.Result + r * Columns, args.Inputs);
        for (; r + 2 <= args.RowCount; r += 2)
            Rows2((float*)args.Rows + r * stride, stride, weights, args.Result + r * Columns, args.Inputs);
        for (; r < args.RowCount; r++)
            Rows1((float*)args.Rows + r * stride, weights, args.Result + r * Columns, args.Inputs);
    }

    // A step holds, for each output, the weights of inputs k (low half) and k + 1 (high half): widening is a shift or a mask.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Even(uint* weights) => (Vector512.Load(weights) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Odd(uint* weights) => (Vector512.Load(weights) & Vector512.Create(0xFFFF0000u)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows8(float* row, nint stride, uint* weights, float* result, nint inputs)
    {
        Vector512<float> s00 = default, s01 = default;
        Vector512<float> s10 = default, s11 = default;
        Vector512<float> s20 = default, s21 = default;
        Vector512<float> s30 = default, s31 = default;
        Vector512<float> s40 = default, s41 = default;
        Vector512<float> s50 = default, s51 = default;
        Vector512<float> s60 = default, s61 = default;
        Vector512<float> s70 = default, s71 = default;
        for (nint k = 0; k < inputs; k += 2, row += 2, weights += PanelLayout.Columns)
        {
            var w0 = Even(weights);
            var w1 = Even(weights + 16);
            var x = Vector512.Create(row[0]);
            s00 = Vector512.FusedMultiplyAdd(x, w0, s00);
            s01 = Vector512.FusedMultiplyAdd(x, w1, s01);
            x = Vector512.Create(row[stride]);
            s10 = Vector512.FusedMultiplyAdd(x, w0, s10);
            s11 = Vector512.FusedMultiplyAdd(x, w1, s11);
            x = Vector512.Create(row[2 * stride]);
            s20 = Vector512.FusedMultiplyAdd(x, w0, s20);
            s21 = Vector512.FusedMultiplyAdd(x, w1, s21);
            x = Vector512.Create(row[3 * stride]);
            s30 = Vector512.FusedMultiplyAdd(x, w0, s30);
            s31 = Vector512.FusedMultiplyAdd(x, w1, s31);
            x = Vector512.Create(row[4 * stride]);
            s40 = Vector512.FusedMultiplyAdd(x, w0, s40);
            s41 = Vector512.FusedMultiplyAdd(x, w1, s41);
            x = Vector512.Create(row[5 * stride]);
            s50 = Vector512.FusedMultiplyAdd(x, w0, s50);
            s51 = Vector512.FusedMultiplyAdd(x, w1, s51);
            x = Vector512.Create(row[6 * stride]);
            s60 = Vector512.FusedMultiplyAdd(x, w0, s60);
            s61 = Vector512.FusedMultiplyAdd(x, w1, s61);
            x = Vector512.Create(row[7 * stride]);
            s70 = Vector512.FusedMultiplyAdd(x, w0, s70);
            s71 = Vector512.FusedMultiplyAdd(x, w1, s71);
            w0 = Odd(weights);
            w1 = Odd(weights + 16);
            x = Vector512.Create(row[1]);
            s00 = Vector512.FusedMultiplyAdd(x, w0, s00);
            s01 = Vector512.FusedMultiplyAdd(x, w1, s01);
            x = Vector512.Create(row[stride + 1]);
            s10 = Vector512.FusedMultiplyAdd(x, w0, s10);
            s11 = Vector512.FusedMultiplyAdd(x, w1, s11);
            x = Vector512.Create(row[2 * stride + 1]);
            s20 = Vector512.FusedMultiplyAdd(x, w0, s20);
            s21 = Vector512.FusedMultiplyAdd(x, w1, s21);
            x = Vector512.Create(row[3 * stride + 1]);
            s30 = Vector512.FusedMultiplyAdd(x, w0, s30);
            s31 = Vector512.FusedMultiplyAdd(x, w1, s31);
            x = Vector512.Create(row[4 * stride + 1]);
            s40 = Vector512.FusedMultiplyAdd(x, w0, s40);
            s41 = Vector512.FusedMultiplyAdd(x, w1, s41);
            x = Vector512.Create(row[5 * stride + 1]);
            s50 = Vector512.FusedMultiplyAdd(x, w0, s50);
            s51 = Vector512.FusedMultiplyAdd(x, w1, s51);
            x = Vector512.Create(row[6 * stride + 1]);
            s60 = Vector512.FusedMultiplyAdd(x, w0, s60);
            s61 = Vector512.FusedMultiplyAdd(x, w1, s61);
            x = Vector512.Create(row[7 * stride + 1]);
            s70 = Vector512.FusedMultiplyAdd(x, w0, s70);
            s71 = Vector512.FusedMultiplyAdd(x, w1, s71);
        }

        s00.Store(result);
        s01.Store(result + 16);
        s10.Store(result + Columns);
        s11.Store(result + Columns + 16);
        s20.Store(result + 2 * Columns);
        s21.Store(result + 2 * Columns + 16);
        s30.Store(result + 3 * Columns);
        s31.Store(result + 3 * Columns + 16);
        s40.Store(result + 4 * Columns);
        s41.Store(result + 4 * Columns + 16);
        s50.Store(result + 5 * Columns);
        s51.Store(result + 5 * Columns + 16);
        s60.Store(result + 6 * Columns);
        s61.Store(result + 6 * Columns + 16);
        s70.Store(result + 7 * Columns);
        s71.Store(result + 7 * Columns + 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows2(float* row, nint stride, uint* weights, float* result, nint inputs)
    {
        Vector512<float> s00 = default, s01 = default;
        Vector512<float> s10 = default, s11 = default;
        for (nint k = 0; k < inputs; k += 2, row += 2, weights += PanelLayout.Columns)
        {
            Prefetch.Step(weights);
            var w0 = Even(weights);
            var w1 = Even(weights + 16);
            var x = Vector512.Create(row[0]);
            s00 = Vector512.FusedMultiplyAdd(x, w0, s00);
            s01 = Vector512.FusedMultiplyAdd(x, w1, s01);
            x = Vector512.Create(row[stride]);
            s10 = Vector512.FusedMultiplyAdd(x, w0, s10);
            s11 = Vector512.FusedMultiplyAdd(x, w1, s11);
            w0 = Odd(weights);
            w1 = Odd(weights + 16);
            x = Vector512.Create(row[1]);
            s00 = Vector512.FusedMultiplyAdd(x, w0, s00);
            s01 = Vector512.FusedMultiplyAdd(x, w1, s01);
            x = Vector512.Create(row[stride + 1]);
            s10 = Vector512.FusedMultiplyAdd(x, w0, s10);
            s11 = Vector512.FusedMultiplyAdd(x, w1, s11);
        }

        s00.Store(result);
        s01.Store(result + 16);
        s10.Store(result + Columns);
        s11.Store(result + Columns + 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows1(float* row, uint* weights, float* result, nint inputs)
    {
        Vector512<float> s00 = default, s01 = default;
        for (nint k = 0; k < inputs; k += 2, row += 2, weights += PanelLayout.Columns)
        {
            Prefetch.Step(weights);
            var w0 = Even(weights);
            var w1 = Even(weights + 16);
            var x = Vector512.Create(row[0]);
            s00 = Vector512.FusedMultiplyAdd(x, w0, s00);
            s01 = Vector512.FusedMultiplyAdd(x, w1, s01);
            w0 = Odd(weights);
            w1 = Odd(weights + 16);
            x = Vector512.Create(row[1]);
            s00 = Vector512.FusedMultiplyAdd(x, w0, s00);
            s01 = Vector512.FusedMultiplyAdd(x, w1, s01);
        }

        s00.Store(result);
        s01.Store(result + 16);
    }
}
