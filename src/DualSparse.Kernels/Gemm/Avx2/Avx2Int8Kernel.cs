using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using DualSparse.Kernels.Packing;
using Isa = System.Runtime.Intrinsics.X86.Avx2;

namespace DualSparse.Kernels.Gemm.Avx2;

/// <summary>int8 weights, zero-extended to 16 bits, and rows of 16-bit integers by vpmaddwd, in tiles of 6 rows × 8 outputs.</summary>
internal sealed unsafe class Avx2Int8Kernel() : OnePanelKernel("avx2", WeightFormat.Int8, ActivationFormat.Int16)
{
    public override long RunCeiling(int rounds) => Avx2Ceiling.MultiplyPairs16(rounds);

    protected override void MultiplyOne(in PanelArgs args)
    {
        nint r = 0, fours = args.RowCount % 6 / 4, tiles = (args.RowCount / 6 + fours) * (PanelLayout.Columns / 8), tile = 0, steps = args.Inputs / 4;
        for (; r + 6 <= args.RowCount; r += 6)
        {
            for (nint c = 0; c < PanelLayout.Columns; c += 8)
                Rows6(args, r, c, new NextPanel(args, tile++, tiles, steps, PanelLayout.StepBytes));
        }

        if (fours > 0)
        {
            for (nint c = 0; c < PanelLayout.Columns; c += 8)
                Rows4(args, r, c, new NextPanel(args, tile++, tiles, steps, PanelLayout.StepBytes));
            r += 4;
        }

        for (; r + 2 <= args.RowCount; r += 2)
        {
            for (nint c = 0; c < PanelLayout.Columns; c += 16)
                Rows2(args, r, c);
        }

        for (; r < args.RowCount; r++)
            Rows1(args, r, 0);
    }

    // Weights + 128 of four inputs for each of four outputs, zero-extended.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<short> Widen(byte* weights) => Isa.ConvertToVector256Int16(weights);

    // Four inputs of a row, the same for every output.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<short> Four(short* row) => Vector256.Create(*(long*)row).AsInt16();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> MultiplyAddPairs(Vector256<short> x, Vector256<short> weights) => Isa.MultiplyAddAdjacent(x, weights);

    // Two partial sums an output: low holds outputs 0–3, high 4–7. Integers may wrap on the way, Σ itself fits: |Σ| ≤ 127² · inputs.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish(in PanelArgs args, nint r, nint c, Vector256<int> low, Vector256<int> high)
    {
        var sum = Isa.Permute4x64(Isa.HorizontalAdd(low, high).AsInt64(), 0b11_01_10_00).AsInt32();
        sum -= Vector256.Create(128 * args.RowSums[r * args.RowSumStride]);
        var result = Avx.ConvertToVector256Single(sum) * Vector256.Load((float*)args.Panel + c) * Vector256.Create(args.RowScales[r]);
        result.Store(args.Result + r * PanelLayout.Columns + c);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows6(in PanelArgs args, nint r, nint c, NextPanel ahead)
    {
        byte* weights = args.Panel + PanelLayout.Int8HeaderBytes + 4 * c;
        var row = (short*)(args.Rows + r * args.RowBytes);
        nint stride = args.RowBytes / sizeof(short);
        Vector256<int> s00 = default, s01 = default;
        Vector256<int> s10 = default, s11 = default;
        Vector256<int> s20 = default, s21 = default;
        Vector256<int> s30 = default, s31 = default;
        Vector256<int> s40 = default, s41 = default;
        Vector256<int> s50 = default, s51 = default;
        for (nint k = 0; k < args.Inputs; k += 4, row += 4, weights += PanelLayout.StepBytes)
        {
            ahead.Step();
            var w0 = Widen(weights);
            var w1 = Widen(weights + 16);
            var x = Four(row);
            s00 += MultiplyAddPairs(x, w0);
            s01 += MultiplyAddPairs(x, w1);
            x = Four(row + stride);
            s10 += MultiplyAddPairs(x, w0);
            s11 += MultiplyAddPairs(x, w1);
            x = Four(row + 2 * stride);
            s20 += MultiplyAddPairs(x, w0);
            s21 += MultiplyAddPairs(x, w1);
            x = Four(row + 3 * stride);
            s30 += MultiplyAddPairs(x, w0);
            s31 += MultiplyAddPairs(x, w1);
            x = Four(row + 4 * stride);
            s40 += MultiplyAddPairs(x, w0);
            s41 += MultiplyAddPairs(x, w1);
            x = Four(row + 5 * stride);
            s50 += MultiplyAddPairs(x, w0);
            s51 += MultiplyAddPairs(x, w1);
        }

        Finish(args, r, c, s00, s01);
        Finish(args, r + 1, c, s10, s11);
        Finish(args, r + 2, c, s20, s21);
        Finish(args, r + 3, c, s30, s31);
        Finish(args, r + 4, c, s40, s41);
        Finish(args, r + 5, c, s50, s51);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows4(in PanelArgs args, nint r, nint c, NextPanel ahead)
    {
        byte* weights = args.Panel + PanelLayout.Int8HeaderBytes + 4 * c;
        var row = (short*)(args.Rows + r * args.RowBytes);
        nint stride = args.RowBytes / sizeof(short);
        Vector256<int> s00 = default, s01 = default;
        Vector256<int> s10 = default, s11 = default;
        Vector256<int> s20 = default, s21 = default;
        Vector256<int> s30 = default, s31 = default;
        for (nint k = 0; k < args.Inputs; k += 4, row += 4, weights += PanelLayout.StepBytes)
        {
            ahead.Step();
            var w0 = Widen(weights);
            var w1 = Widen(weights + 16);
            var x = Four(row);
            s00 += MultiplyAddPairs(x, w0);
            s01 += MultiplyAddPairs(x, w1);
            x = Four(row + stride);
            s10 += MultiplyAddPairs(x, w0);
            s11 += MultiplyAddPairs(x, w1);
            x = Four(row + 2 * stride);
            s20 += MultiplyAddPairs(x, w0);
            s21 += MultiplyAddPairs(x, w1);
            x = Four(row + 3 * stride);
            s30 += MultiplyAddPairs(x, w0);
            s31 += MultiplyAddPairs(x, w1);
        }

        Finish(args, r, c, s00, s01);
        Finish(args, r + 1, c, s10, s11);
        Finish(args, r + 2, c, s20, s21);
        Finish(args, r + 3, c, s30, s31);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows2(in PanelArgs args, nint r, nint c)
    {
        byte* weights = args.Panel + PanelLayout.Int8HeaderBytes + 4 * c;
        var row = (short*)(args.Rows + r * args.RowBytes);
        nint stride = args.RowBytes / sizeof(short);
        Vector256<int> s00 = default, s01 = default, s02 = default, s03 = default;
        Vector256<int> s10 = default, s11 = default, s12 = default, s13 = default;
        for (nint k = 0; k < args.Inputs; k += 4, row += 4, weights += PanelLayout.StepBytes)
        {
            Prefetch.Step(weights);
            var w0 = Widen(weights);
            var w1 = Widen(weights + 16);
            var w2 = Widen(weights + 32);
            var w3 = Widen(weights + 48);
            var x = Four(row);
            s00 += MultiplyAddPairs(x, w0);
            s01 += MultiplyAddPairs(x, w1);
            s02 += MultiplyAddPairs(x, w2);
            s03 += MultiplyAddPairs(x, w3);
            x = Four(row + stride);
            s10 += MultiplyAddPairs(x, w0);
            s11 += MultiplyAddPairs(x, w1);
            s12 += MultiplyAddPairs(x, w2);
            s13 += MultiplyAddPairs(x, w3);
        }

        Finish(args, r, c, s00, s01);
        Finish(args, r, c + 8, s02, s03);
        Finish(args, r + 1, c, s10, s11);
        Finish(args, r + 1, c + 8, s12, s13);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows1(in PanelArgs args, nint r, nint c)
    {
        byte* weights = args.Panel + PanelLayout.Int8HeaderBytes + 4 * c;
        var row = (short*)(args.Rows + r * args.RowBytes);
        Vector256<int> s00 = default, s01 = default, s02 = default, s03 = default, s04 = default, s05 = default, s06 = default, s07 = default;
        for (nint k = 0; k < args.Inputs; k += 4, row += 4, weights += PanelLayout.StepBytes)
        {
            Prefetch.Step(weights);
            var w0 = Widen(weights);
            var w1 = Widen(weights + 16);
            var w2 = Widen(weights + 32);
            var w3 = Widen(weights + 48);
            var w4 = Widen(weights + 64);
            var w5 = Widen(weights + 80);
            var w6 = Widen(weights + 96);
            var w7 = Widen(weights + 112);
            var x = Four(row);
            s00 += MultiplyAddPairs(x, w0);
            s01 += MultiplyAddPairs(x, w1);
            s02 += MultiplyAddPairs(x, w2);
            s03 += MultiplyAddPairs(x, w3);
            s04 += MultiplyAddPairs(x, w4);
            s05 += MultiplyAddPairs(x, w5);
            s06 += MultiplyAddPairs(x, w6);
            s07 += MultiplyAddPairs(x, w7);
        }

        Finish(args, r, c, s00, s01);
        Finish(args, r, c + 8, s02, s03);
        Finish(args, r, c + 16, s04, s05);
        Finish(args, r, c + 24, s06, s07);
    }
}
