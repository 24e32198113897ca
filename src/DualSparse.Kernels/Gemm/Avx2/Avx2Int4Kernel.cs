using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using DualSparse.Kernels.Packing;
using Isa = System.Runtime.Intrinsics.X86.Avx2;

namespace DualSparse.Kernels.Gemm.Avx2;

/// <summary>int4 weights and int8 rows by vpmaddubsw, in tiles of 3 rows × 16 outputs.</summary>
internal sealed unsafe class Avx2Int4Kernel() : OnePanelKernel("avx2", WeightFormat.Int4, ActivationFormat.Int8)
{
    public override long RunCeiling(int rounds) => Avx2Ceiling.MultiplyPairs8(rounds);

    protected override void MultiplyOne(in PanelArgs args)
    {
        // Every tile prefetches its share of the next panel, except a last single row, which is bound by its own panel.
        nint r = 0, twos = args.RowCount % 3 / 2, tiles = (args.RowCount / 3 + twos) * 2, tile = 0;
        nint steps = args.Inputs / PanelLayout.GroupInputs * 4, stepBytes = PanelLayout.GroupBytes / 4;
        for (; r + 3 <= args.RowCount; r += 3)
        {
            for (nint c = 0; c < PanelLayout.Columns; c += 16)
                Rows3(args, r, c, new NextPanel(args, tile++, tiles, steps, stepBytes));
        }

        if (twos > 0)
        {
            for (nint c = 0; c < PanelLayout.Columns; c += 16)
                Rows2(args, r, c, new NextPanel(args, tile++, tiles, steps, stepBytes));
            r += 2;
        }

        if (r < args.RowCount)
            Rows1(args, r);
    }

    // Weights + 8 of inputs 0–3 of a step, four bytes an output, and of inputs 4–7.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Low(Vector256<byte> step) => step & Vector256.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> High(Vector256<byte> step) => (step.AsUInt16() >> 4).AsByte() & Vector256.Create((byte)15);

    // Four inputs of a row, the same for every output.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Four(byte* row) => Vector256.Create(*(int*)row).AsByte();

    // Two products an element. Over a group an element receives 8 of these sums: at most 8 · 2 · 15 · 127 = 30480, less than 2¹⁵, so
    // neither the instruction's saturation nor the 16-bit additions lose anything.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<short> MultiplyAddPairs(Vector256<byte> weights, Vector256<byte> x) => Isa.MultiplyAddAdjacent(weights, x.AsSByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Bf16Scales(ushort* scales) => (Isa.ConvertToVector256Int32(scales) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Accumulate(Vector256<short> pairs, Vector256<int> bias, Vector256<float> scale, Vector256<float> total)
    {
        var sum = Isa.MultiplyAddAdjacent(pairs, Vector256<short>.One) - bias;
        return Fma.MultiplyAdd(Avx.ConvertToVector256Single(sum), scale, total);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish(in PanelArgs args, nint r, nint c, Vector256<float> total) =>
        (total * Vector256.Create(args.RowScales[r])).Store(args.Result + r * PanelLayout.Columns + c);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows3(in PanelArgs args, nint r, nint c, NextPanel ahead)
    {
        byte* group = args.Panel;
        byte* row = args.Rows + r * args.RowBytes;
        int* sums = args.RowSums + r * args.RowSumStride;
        nint stride = args.RowBytes, sumStride = args.RowSumStride;
        Vector256<float> t00 = default, t01 = default;
        Vector256<float> t10 = default, t11 = default;
        Vector256<float> t20 = default, t21 = default;
        for (nint k = 0; k < args.Inputs; k += PanelLayout.GroupInputs, group += PanelLayout.GroupBytes, sums++)
        {
            byte* weights = group + 64 + 4 * c;
            Vector256<short> s00 = default, s01 = default;
            Vector256<short> s10 = default, s11 = default;
            Vector256<short> s20 = default, s21 = default;
            for (byte* end = row + PanelLayout.GroupInputs; row < end; row += 8, weights += PanelLayout.StepBytes)
            {
                ahead.Step();
                var b0 = Vector256.Load(weights);
                var b1 = Vector256.Load(weights + 32);
                var w0 = Low(b0);
                var w1 = Low(b1);
                var x = Four(row);
                s00 += MultiplyAddPairs(w0, x);
                s01 += MultiplyAddPairs(w1, x);
                x = Four(row + stride);
                s10 += MultiplyAddPairs(w0, x);
                s11 += MultiplyAddPairs(w1, x);
                x = Four(row + 2 * stride);
                s20 += MultiplyAddPairs(w0, x);
                s21 += MultiplyAddPairs(w1, x);
                w0 = High(b0);
                w1 = High(b1);
                x = Four(row + 4);
                s00 += MultiplyAddPairs(w0, x);
                s01 += MultiplyAddPairs(w1, x);
                x = Four(row + stride + 4);
                s10 += MultiplyAddPairs(w0, x);
                s11 += MultiplyAddPairs(w1, x);
                x = Four(row + 2 * stride + 4);
                s20 += MultiplyAddPairs(w0, x);
                s21 += MultiplyAddPairs(w1, x);
            }

            var scale0 = Bf16Scales((ushort*)group + c);
            var scale1 = Bf16Scales((ushort*)group + c + 8);
            var bias = Vector256.Create(8 * sums[0]);
            t00 = Accumulate(s00, bias, scale0, t00);
            t01 = Accumulate(s01, bias, scale1, t01);
            bias = Vector256.Create(8 * sums[sumStride]);
            t10 = Accumulate(s10, bias, scale0, t10);
            t11 = Accumulate(s11, bias, scale1, t11);
            bias = Vector256.Create(8 * sums[2 * sumStride]);
            t20 = Accumulate(s20, bias, scale0, t20);
            t21 = Accumulate(s21, bias, scale1, t21);
        }

        Finish(args, r, c, t00);
        Finish(args, r, c + 8, t01);
        Finish(args, r + 1, c, t10);
        Finish(args, r + 1, c + 8, t11);
        Finish(args, r + 2, c, t20);
        Finish(args, r + 2, c + 8, t21);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows2(in PanelArgs args, nint r, nint c, NextPanel ahead)
    {
        byte* group = args.Panel;
        byte* row = args.Rows + r * args.RowBytes;
        int* sums = args.RowSums + r * args.RowSumStride;
        nint stride = args.RowBytes, sumStride = args.RowSumStride;
        Vector256<float> t00 = default, t01 = default;
        Vector256<float> t10 = default, t11 = default;
        for (nint k = 0; k < args.Inputs; k += PanelLayout.GroupInputs, group += PanelLayout.GroupBytes, sums++)
        {
            byte* weights = group + 64 + 4 * c;
            Vector256<short> s00 = default, s01 = default;
            Vector256<short> s10 = default, s11 = default;
            for (byte* end = row + PanelLayout.GroupInputs; row < end; row += 8, weights += PanelLayout.StepBytes)
            {
                Prefetch.Step(weights);
                ahead.Step();
                var b0 = Vector256.Load(weights);
                var b1 = Vector256.Load(weights + 32);
                var w0 = Low(b0);
                var w1 = Low(b1);
                var x = Four(row);
                s00 += MultiplyAddPairs(w0, x);
                s01 += MultiplyAddPairs(w1, x);
                x = Four(row + stride);
                s10 += MultiplyAddPairs(w0, x);
                s11 += MultiplyAddPairs(w1, x);
                w0 = High(b0);
                w1 = High(b1);
                x = Four(row + 4);
                s00 += MultiplyAddPairs(w0, x);
                s01 += MultiplyAddPairs(w1, x);
                x = Four(row + stride + 4);
                s10 += MultiplyAddPairs(w0, x);
                s11 += MultiplyAddPairs(w1, x);
            }

            var scale0 = Bf16Scales((ushort*)group + c);
            var scale1 = Bf16Scales((ushort*)group + c + 8);
            var bias = Vector256.Create(8 * sums[0]);
            t00 = Accumulate(s00, bias, scale0, t00);
            t01 = Accumulate(s01, bias, scale1, t01);
            bias = Vector256.Create(8 * sums[sumStride]);
            t10 = Accumulate(s10, bias, scale0, t10);
            t11 = Accumulate(s11, bias, scale1, t11);
        }

        Finish(args, r, c, t00);
        Finish(args, r, c + 8, t01);
        Finish(args, r + 1, c, t10);
        Finish(args, r + 1, c + 8, t11);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows1(in PanelArgs args, nint r)
    {
        byte* group = args.Panel;
        byte* row = args.Rows + r * args.RowBytes;
        int* sums = args.RowSums + r * args.RowSumStride;
        Vector256<float> t00 = default, t01 = default, t02 = default, t03 = default;
        for (nint k = 0; k < args.Inputs; k += PanelLayout.GroupInputs, group += PanelLayout.GroupBytes, sums++)
        {
            Prefetch.Line(group);
            byte* weights = group + 64;
            Vector256<short> s00 = default, s01 = default, s02 = default, s03 = default;
            for (byte* end = row + PanelLayout.GroupInputs; row < end; row += 8, weights += PanelLayout.StepBytes)
            {
                Prefetch.Step(weights);
                var b0 = Vector256.Load(weights);
                var b1 = Vector256.Load(weights + 32);
                var b2 = Vector256.Load(weights + 64);
                var b3 = Vector256.Load(weights + 96);
                var w0 = Low(b0);
                var w1 = Low(b1);
                var w2 = Low(b2);
                var w3 = Low(b3);
                var x = Four(row);
                s00 += MultiplyAddPairs(w0, x);
                s01 += MultiplyAddPairs(w1, x);
                s02 += MultiplyAddPairs(w2, x);
                s03 += MultiplyAddPairs(w3, x);
                w0 = High(b0);
                w1 = High(b1);
                w2 = High(b2);
                w3 = High(b3);
                x = Four(row + 4);
                s00 += MultiplyAddPairs(w0, x);
                s01 += MultiplyAddPairs(w1, x);
                s02 += MultiplyAddPairs(w2, x);
                s03 += MultiplyAddPairs(w3, x);
            }

            var scale0 = Bf16Scales((ushort*)group);
            var scale1 = Bf16Scales((ushort*)group + 8);
            var scale2 = Bf16Scales((ushort*)group + 16);
            var scale3 = Bf16Scales((ushort*)group + 24);
            var bias = Vector256.Create(8 * sums[0]);
            t00 = Accumulate(s00, bias, scale0, t00);
            t01 = Accumulate(s01, bias, scale1, t01);
            t02 = Accumulate(s02, bias, scale2, t02);
            t03 = Accumulate(s03, bias, scale3, t03);
        }

        Finish(args, r, 0, t00);
        Finish(args, r, 8, t01);
        Finish(args, r, 16, t02);
        Finish(args, r, 24, t03);
    }
}
