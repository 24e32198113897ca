using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Gemm.Avx512;

/// <summary>int8 weights, zero-extended to 16 bits, and rows of 16-bit integers by 512-bit vpmaddwd, in tiles of 6 rows × 32 outputs.</summary>
internal sealed unsafe class Avx512Int8Kernel() : OnePanelKernel("avx512", WeightFormat.Int8, ActivationFormat.Int16)
{
    public override long RunCeiling(int rounds) => Avx512Ceiling.MultiplyPairs16(rounds);

    protected override void MultiplyOne(in PanelArgs args)
    {
        nint r = 0;
        for (; r + 6 <= args.RowCount; r += 6)
            Rows6(args, r, 0);
        for (; r + 2 <= args.RowCount; r += 2)
            Rows2(args, r, 0);
        for (; r < args.RowCount; r++)
            Rows1(args, r, 0);
    }

    // Weights + 128 of four inputs for each of eight outputs, zero-extended.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<short> Widen(byte* weights) => Wide.ZeroExtend(Vector256.Load(weights));

    // Four inputs of a row, the same for every output.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<short> Four(short* row) => Vector512.Create(*(long*)row).AsInt16();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> MultiplyAddPairs(Vector512<short> x, Vector512<short> weights) => Wide.MultiplyAddPairs(x, weights);

    // Two partial sums an output: low holds outputs 0–7, high 8–15. Integers may wrap on the way, Σ itself fits: |Σ| ≤ 127² · inputs.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish(in PanelArgs args, nint r, nint c, Vector512<int> low, Vector512<int> high)
    {
        var sum = Wide.AddNeighbours(low, high) - Vector512.Create(128 * args.RowSums[r * args.RowSumStride]);
        var result = Vector512.ConvertToSingle(sum) * Vector512.Load((float*)args.Panel + c) * Vector512.Create(args.RowScales[r]);
        result.Store(args.Result + r * PanelLayout.Columns + c);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows6(in PanelArgs args, nint r, nint c)
    {
        byte* weights = args.Panel + PanelLayout.Int8HeaderBytes + 4 * c;
        var row = (short*)(args.Rows + r * args.RowBytes);
        nint stride = args.RowBytes / sizeof(short);
        Vector512<int> s00 = default, s01 = default, s02 = default, s03 = default;
        Vector512<int> s10 = default, s11 = default, s12 = default, s13 = default;
        Vector512<int> s20 = default, s21 = default, s22 = default, s23 = default;
        Vector512<int> s30 = default, s31 = default, s32 = default, s33 = default;
        Vector512<int> s40 = default, s41 = default, s42 = default, s43 = default;
        Vector512<int> s50 = default, s51 = default, s52 = default, s53 = default;
        for (nint k = 0; k < args.Inputs; k += 4, row += 4, weights += PanelLayout.StepBytes)
        {
            var w0 = Widen(weights);
            var w1 = Widen(weights + 32);
            var w2 = Widen(weights + 64);
            var w3 = Widen(weights + 96);
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
            x = Four(row + 2 * stride);
            s20 += MultiplyAddPairs(x, w0);
            s21 += MultiplyAddPairs(x, w1);
            s22 += MultiplyAddPairs(x, w2);
            s23 += MultiplyAddPairs(x, w3);
            x = Four(row + 3 * stride);
            s30 += MultiplyAddPairs(x, w0);
            s31 += MultiplyAddPairs(x, w1);
            s32 += MultiplyAddPairs(x, w2);
            s33 += MultiplyAddPairs(x, w3);
            x = Four(row + 4 * stride);
            s40 += MultiplyAddPairs(x, w0);
            s41 += MultiplyAddPairs(x, w1);
            s42 += MultiplyAddPairs(x, w2);
            s43 += MultiplyAddPairs(x, w3);
            x = Four(row + 5 * stride);
            s50 += MultiplyAddPairs(x, w0);
            s51 += MultiplyAddPairs(x, w1);
            s52 += MultiplyAddPairs(x, w2);
            s53 += MultiplyAddPairs(x, w3);
        }

        Finish(args, r, c, s00, s01);
        Finish(args, r, c + 16, s02, s03);
        Finish(args, r + 1, c, s10, s11);
        Finish(args, r + 1, c + 16, s12, s13);
        Finish(args, r + 2, c, s20, s21);
        Finish(args, r + 2, c + 16, s22, s23);
        Finish(args, r + 3, c, s30, s31);
        Finish(args, r + 3, c + 16, s32, s33);
        Finish(args, r + 4, c, s40, s41);
        Finish(args, r + 4, c + 16, s42, s43);
        Finish(args, r + 5, c, s50, s51);
        Finish(args, r + 5, c + 16, s52, s53);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows2(in PanelArgs args, nint r, nint c)
    {
        byte* weights = args.Panel + PanelLayout.Int8HeaderBytes + 4 * c;
        var row = (short*)(args.Rows + r * args.RowBytes);
        nint stride = args.RowBytes / sizeof(short);
        Vector512<int> s00 = default, s01 = default, s02 = default, s03 = default;
        Vector512<int> s10 = default, s11 = default, s12 = default, s13 = default;
        for (nint k = 0; k < args.Inputs; k += 4, row += 4, weights += PanelLayout.StepBytes)
        {
            Prefetch.Step(weights);
            var w0 = Widen(weights);
            var w1 = Widen(weights + 32);
            var w2 = Widen(weights + 64);
            var w3 = Widen(weights + 96);
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
        Finish(args, r, c + 16, s02, s03);
        Finish(args, r + 1, c, s10, s11);
        Finish(args, r + 1, c + 16, s12, s13);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows1(in PanelArgs args, nint r, nint c)
    {
        byte* weights = args.Panel + PanelLayout.Int8HeaderBytes + 4 * c;
        var row = (short*)(args.Rows + r * args.RowBytes);
        Vector512<int> s00 = default, s01 = default, s02 = default, s03 = default;
        for (nint k = 0; k < args.Inputs; k += 4, row += 4, weights += PanelLayout.StepBytes)
        {
            Prefetch.Step(weights);
            var w0 = Widen(weights);
            var w1 = Widen(weights + 32);
            var w2 = Widen(weights + 64);
            var w3 = Widen(weights + 96);
            var x = Four(row);
            s00 += MultiplyAddPairs(x, w0);
            s01 += MultiplyAddPairs(x, w1);
            s02 += MultiplyAddPairs(x, w2);
            s03 += MultiplyAddPairs(x, w3);
        }

        Finish(args, r, c, s00, s01);
        Finish(args, r, c + 16, s02, s03);
    }
}
