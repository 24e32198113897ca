using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Gemm.Avx2;

/// <summary>f32 weights and rows by 256-bit fused multiply-adds, in tiles of 6 rows × 16 outputs.</summary>
internal sealed unsafe class Avx2F32Kernel() : OnePanelKernel("avx2", WeightFormat.F32, ActivationFormat.F32)
{
    private const int Columns = PanelLayout.Columns;

    public override long RunCeiling(int rounds) => Avx2Ceiling.Fma(rounds);

    protected override void MultiplyOne(in PanelArgs args)
    {
        nint stride = args.RowBytes / sizeof(float), r = 0;
        var weights = (float*)args.Panel;
        nint tiles = 2 * (args.RowCount / 6), tile = 0;
        for (; r + 6 <= args.RowCount; r += 6)
        {
            for (int c = 0; c < Columns; c += 16)
                Rows6((float*)args.Rows + r * stride, stride, weights + c, args.Result + r * Columns + c, args.Inputs, new NextPanel(args, tile++, tiles, args.Inputs, PanelLayout.StepBytes));
        }

        for (; r + 2 <= args.RowCount; r += 2)
            Rows2((float*)args.Rows + r * stride, stride, weights, args.Result + r * Columns, args.Inputs);
        for (; r < args.RowCount; r++)
            Rows1((float*)args.Rows + r * stride, weights, args.Result + r * Columns, args.Inputs);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows6(float* row, nint stride, float* weights, float* result, nint inputs, NextPanel ahead)
    {
        Vector256<float> s00 = default, s01 = default;
        Vector256<float> s10 = default, s11 = default;
        Vector256<float> s20 = default, s21 = default;
        Vector256<float> s30 = default, s31 = default;
        Vector256<float> s40 = default, s41 = default;
        Vector256<float> s50 = default, s51 = default;
        for (nint k = 0; k < inputs; k++, row++, weights += PanelLayout.Columns)
        {
            ahead.Step();
            var w0 = Vector256.Load(weights);
            var w1 = Vector256.Load(weights + 8);
            var x = Vector256.Create(row[0]);
            s00 = Fma.MultiplyAdd(x, w0, s00);
            s01 = Fma.MultiplyAdd(x, w1, s01);
            x = Vector256.Create(row[stride]);
            s10 = Fma.MultiplyAdd(x, w0, s10);
            s11 = Fma.MultiplyAdd(x, w1, s11);
            x = Vector256.Create(row[2 * stride]);
            s20 = Fma.MultiplyAdd(x, w0, s20);
            s21 = Fma.MultiplyAdd(x, w1, s21);
            x = Vector256.Create(row[3 * stride]);
            s30 = Fma.MultiplyAdd(x, w0, s30);
            s31 = Fma.MultiplyAdd(x, w1, s31);
            x = Vector256.Create(row[4 * stride]);
            s40 = Fma.MultiplyAdd(x, w0, s40);
            s41 = Fma.MultiplyAdd(x, w1, s41);
            x = Vector256.Create(row[5 * stride]);
            s50 = Fma.MultiplyAdd(x, w0, s50);
            s51 = Fma.MultiplyAdd(x, w1, s51);
        }

        s00.Store(result);
        s01.Store(result + 8);
        s10.Store(result + Columns);
        s11.Store(result + Columns + 8);
        s20.Store(result + 2 * Columns);
        s21.Store(result + 2 * Columns + 8);
        s30.Store(result + 3 * Columns);
        s31.Store(result + 3 * Columns + 8);
        s40.Store(result + 4 * Columns);
        s41.Store(result + 4 * Columns + 8);
        s50.Store(result + 5 * Columns);
        s51.Store(result + 5 * Columns + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows2(float* row, nint stride, float* weights, float* result, nint inputs)
    {
        Vector256<float> s00 = default, s01 = default, s02 = default, s03 = default;
        Vector256<float> s10 = default, s11 = default, s12 = default, s13 = default;
        for (nint k = 0; k < inputs; k++, row++, weights += PanelLayout.Columns)
        {
            Prefetch.Step(weights);
            var w0 = Vector256.Load(weights);
            var w1 = Vector256.Load(weights + 8);
            var w2 = Vector256.Load(weights + 16);
            var w3 = Vector256.Load(weights + 24);
            var x = Vector256.Create(row[0]);
            s00 = Fma.MultiplyAdd(x, w0, s00);
            s01 = Fma.MultiplyAdd(x, w1, s01);
            s02 = Fma.MultiplyAdd(x, w2, s02);
            s03 = Fma.MultiplyAdd(x, w3, s03);
            x = Vector256.Create(row[stride]);
            s10 = Fma.MultiplyAdd(x, w0, s10);
            s11 = Fma.MultiplyAdd(x, w1, s11);
            s12 = Fma.MultiplyAdd(x, w2, s12);
            s13 = Fma.MultiplyAdd(x, w3, s13);
        }

        s00.Store(result);
        s01.Store(result + 8);
        s02.Store(result + 16);
        s03.Store(result + 24);
        s10.Store(result + Columns);
        s11.Store(result + Columns + 8);
        s12.Store(result + Columns + 16);
        s13.Store(result + Columns + 24);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows1(float* row, float* weights, float* result, nint inputs)
    {
        Vector256<float> s00 = default, s01 = default, s02 = default, s03 = default;
        for (nint k = 0; k < inputs; k++, row++, weights += PanelLayout.Columns)
        {
            Prefetch.Step(weights);
            var w0 = Vector256.Load(weights);
            var w1 = Vector256.Load(weights + 8);
            var w2 = Vector256.Load(weights + 16);
            var w3 = Vector256.Load(weights + 24);
            var x = Vector256.Create(row[0]);
            s00 = Fma.MultiplyAdd(x, w0, s00);
            s01 = Fma.MultiplyAdd(x, w1, s01);
            s02 = Fma.MultiplyAdd(x, w2, s02);
            s03 = Fma.MultiplyAdd(x, w3, s03);
        }

        s00.Store(result);
        s01.Store(result + 8);
        s02.Store(result + 16);
        s03.Store(result + 24);
    }
}
