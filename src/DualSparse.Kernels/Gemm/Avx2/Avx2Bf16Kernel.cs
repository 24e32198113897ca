using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Gemm.Avx2;

/// <summary>bf16 weights, widened in registers, and f32 rows by 256-bit fused multiply-adds, in tiles of 6 rows × 16 outputs.</summary>
internal sealed unsafe class Avx2Bf16Kernel() : OnePanelKernel("avx2", WeightFormat.Bf16, ActivationFormat.F32)
{
    private const int Columns = PanelLayout.Columns;

    public override long RunCeiling(int rounds) => Avx2Ceiling.Fma(rounds);

    protected override void MultiplyOne(in PanelArgs args)
    {
        nint stride = args.RowBytes / sizeof(float), r = 0;
        var weights = (uint*)args.Panel;
        // Twelve sums hide the latency of the multiply-adds; eight would only just. Four rows left over are better off with the eight.
        nint sixes = args.RowCount / 6, fours = args.RowCount % 6 / 4, tiles = 2 * (sixes + fours), tile = 0;
        for (; r + 6 <= args.RowCount; r += 6)
        {
            for (int c = 0; c < Columns; c += 16)
                Rows6((float*)args.Rows + r * stride, stride, weights + c, args.Result + r * Columns + c, args.Inputs, new NextPanel(args, tile++, tiles, args.Inputs / 2, PanelLayout.StepBytes));
        }

        if (fours > 0)
        {
            for (int c = 0; c < Columns; c += 16)
                Rows4((float*)args.Rows + r * stride, stride, weights + c, args.Result + r * Columns + c, args.Inputs, new NextPanel(args, tile++, tiles, args.Inputs / 2, PanelLayout.StepBytes));
            r += 4;
        }

        for (; r + 2 <= args.RowCount; r += 2)
            Rows2((float*)args.Rows + r * stride, stride, weights, args.Result + r * Columns, args.Inputs);
        for (; r < args.RowCount; r++)
            Rows1((float*)args.Rows + r * stride, weights, args.Result + r * Columns, args.Inputs);
    }

    // A step holds, for each output, the weights of inputs k (low half) and k + 1 (high half): widening is a shift or a mask.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Even(uint* weights) => (Vector256.Load(weights) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Odd(uint* weights) => (Vector256.Load(weights) & Vector256.Create(0xFFFF0000u)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows6(float* row, nint stride, uint* weights, float* result, nint inputs, NextPanel ahead)
    {
        Vector256<float> s00 = default, s01 = default;
        Vector256<float> s10 = default, s11 = default;
        Vector256<float> s20 = default, s21 = default;
        Vector256<float> s30 = default, s31 = default;
        Vector256<float> s40 = default, s41 = default;
        Vector256<float> s50 = default, s51 = default;
        for (nint k = 0; k < inputs; k += 2, row += 2, weights += PanelLayout.Columns)
        {
            ahead.Step();
            var w0 = Even(weights);
            var w1 = Even(weights + 8);
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
            w0 = Odd(weights);
            w1 = Odd(weights + 8);
            x = Vector256.Create(row[1]);
            s00 = Fma.MultiplyAdd(x, w0, s00);
            s01 = Fma.MultiplyAdd(x, w1, s01);
            x = Vector256.Create(row[stride + 1]);
            s10 = Fma.MultiplyAdd(x, w0, s10);
            s11 = Fma.MultiplyAdd(x, w1, s11);
            x = Vector256.Create(row[2 * stride + 1]);
            s20 = Fma.MultiplyAdd(x, w0, s20);
            s21 = Fma.MultiplyAdd(x, w1, s21);
            x = Vector256.Create(row[3 * stride + 1]);
            s30 = Fma.MultiplyAdd(x, w0, s30);
            s31 = Fma.MultiplyAdd(x, w1, s31);
            x = Vector256.Create(row[4 * stride + 1]);
            s40 = Fma.MultiplyAdd(x, w0, s40);
            s41 = Fma.MultiplyAdd(x, w1, s41);
            x = Vector256.Create(row[5 * stride + 1]);
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
    private static void Rows4(float* row, nint stride, uint* weights, float* result, nint inputs, NextPanel ahead)
    {
        Vector256<float> s00 = default, s01 = default;
        Vector256<float> s10 = default, s11 = default;
        Vector256<float> s20 = default, s21 = default;
        Vector256<float> s30 = default, s31 = default;
        for (nint k = 0; k < inputs; k += 2, row += 2, weights += PanelLayout.Columns)
        {
            ahead.Step();
            var w0 = Even(weights);
            var w1 = Even(weights + 8);
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
            w0 = Odd(weights);
            w1 = Odd(weights + 8);
            x = Vector256.Create(row[1]);
            s00 = Fma.MultiplyAdd(x, w0, s00);
            s01 = Fma.MultiplyAdd(x, w1, s01);
            x = Vector256.Create(row[stride + 1]);
            s10 = Fma.MultiplyAdd(x, w0, s10);
            s11 = Fma.MultiplyAdd(x, w1, s11);
            x = Vector256.Create(row[2 * stride + 1]);
            s20 = Fma.MultiplyAdd(x, w0, s20);
            s21 = Fma.MultiplyAdd(x, w1, s21);
            x = Vector256.Create(row[3 * stride + 1]);
            s30 = Fma.MultiplyAdd(x, w0, s30);
            s31 = Fma.MultiplyAdd(x, w1, s31);
        }

        s00.Store(result);
        s01.Store(result + 8);
        s10.Store(result + Columns);
        s11.Store(result + Columns + 8);
        s20.Store(result + 2 * Columns);
        s21.Store(result + 2 * Columns + 8);
        s30.Store(result + 3 * Columns);
        s31.Store(result + 3 * Columns + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows2(float* row, nint stride, uint* weights, float* result, nint inputs)
    {
        Vector256<float> s00 = default, s01 = default, s02 = default, s03 = default;
        Vector256<float> s10 = default, s11 = default, s12 = default, s13 = default;
        for (nint k = 0; k < inputs; k += 2, row += 2, weights += PanelLayout.Columns)
        {
            Prefetch.Step(weights);
            var w0 = Even(weights);
            var w1 = Even(weights + 8);
            var w2 = Even(weights + 16);
            var w3 = Even(weights + 24);
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
            w0 = Odd(weights);
            w1 = Odd(weights + 8);
            w2 = Odd(weights + 16);
            w3 = Odd(weights + 24);
            x = Vector256.Create(row[1]);
            s00 = Fma.MultiplyAdd(x, w0, s00);
            s01 = Fma.MultiplyAdd(x, w1, s01);
            s02 = Fma.MultiplyAdd(x, w2, s02);
            s03 = Fma.MultiplyAdd(x, w3, s03);
            x = Vector256.Create(row[stride + 1]);
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
    private static void Rows1(float* row, uint* weights, float* result, nint inputs)
    {
        Vector256<float> s00 = default, s01 = default, s02 = default, s03 = default;
        for (nint k = 0; k < inputs; k += 2, row += 2, weights += PanelLayout.Columns)
        {
            Prefetch.Step(weights);
            var w0 = Even(weights);
            var w1 = Even(weights + 8);
            var w2 = Even(weights + 16);
            var w3 = Even(weights + 24);
            var x = Vector256.Create(row[0]);
            s00 = Fma.MultiplyAdd(x, w0, s00);
            s01 = Fma.MultiplyAdd(x, w1, s01);
            s02 = Fma.MultiplyAdd(x, w2, s02);
            s03 = Fma.MultiplyAdd(x, w3, s03);
            w0 = Odd(weights);
            w1 = Odd(weights + 8);
            w2 = Odd(weights + 16);
            w3 = Odd(weights + 24);
            x = Vector256.Create(row[1]);
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
