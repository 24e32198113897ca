using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Gemm.Avx512;

/// <summary>int4 weights and int8 rows by 512-bit vpmaddubsw, in tiles of 4 rows × 32 outputs.</summary>
internal sealed unsafe class Avx512Int4Kernel() : OnePanelKernel("avx512", WeightFormat.Int4, ActivationFormat.Int8)
{
    public override long RunCeiling(int rounds) => Avx512Ceiling.MultiplyPairs8(rounds);

    protected override void MultiplyOne(in PanelArgs args)
    {
        nint r = 0;
        for (; r + 4 <= args.RowCount; r += 4)
            Rows4(args, r);
        for (; r < args.RowCount; r++)
            Rows1(args, r);
    }

    // Weights + 8 of inputs 0–3 of a step, four bytes an output, and of inputs 4–7.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<byte> Low(Vector512<byte> step) => step & Vector512.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<byte> High(Vector512<byte> step) => (step.AsUInt16() >> 4).AsByte() & Vector512.Create((byte)15);

    // Four inputs of a row, the same for every output.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<byte> Four(byte* row) => Vector512.Create(*(int*)row).AsByte();

    // Two products an element. Over a group an element receives 8 of these sums: at most 8 · 2 · 15 · 127 = 30480, less than 2¹⁵, so
    // neither the instruction's saturation nor the 16-bit additions lose anything.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<short> MultiplyAddPairs(Vector512<byte> weights, Vector512<byte> x) => Wide.MultiplyAddPairs(weights, x.AsSByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Bf16Scales(ushort* scales) => (Wide.ZeroExtend(Vector256.Load(scales)) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Accumulate(Vector512<short> pairs, Vector512<int> bias, Vector512<float> scale, Vector512<float> total)
    {
        var sum = Wide.MultiplyAddPairs(pairs, Vector512<short>.One) - bias;
        return Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(sum), scale, total);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows4(in PanelArgs args, nint r)
    {
        byte* group = args.Panel;
        byte* row = args.Rows + r * args.RowBytes;
        int* sums = args.RowSums + r * args.RowSumStride;
        nint stride = args.RowBytes, sumStride = args.RowSumStride;
        Vector512<float> t00 = default, t01 = default;
        Vector512<float> t10 = default, t11 = default;
        Vector512<float> t20 = default, t21 = default;
        Vector512<float> t30 = default, t31 = default;
        for (nint k = 0; k < args.Inputs; k += PanelLayout.GroupInputs, group += PanelLayout.GroupBytes, sums++)
        {
            byte* weights = group + 64;
            Vector512<short> s00 = default, s01 = default;
            Vector512<short> s10 = default, s11 = default;
            Vector512<short> s20 = default, s21 = default;
            Vector512<short> s30 = default, s31 = default;
            for (byte* end = row + PanelLayout.GroupInputs; row < end; row += 8, weights += PanelLayout.StepBytes)
            {
                var b0 = Vector512.Load(weights);
                var b1 = Vector512.Load(weights + 64);
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
                x = Four(row + 3 * stride);
                s30 += MultiplyAddPairs(w0, x);
                s31 += MultiplyAddPairs(w1, x);
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
                x = Four(row + 3 * stride + 4);
                s30 += MultiplyAddPairs(w0, x);
                s31 += MultiplyAddPairs(w1, x);
            }

            var scale0 = Bf16Scales((ushort*)group);
            var scale1 = Bf16Scales((ushort*)group + 16);
            var bias = Vector512.Create(8 * sums[0]);
            t00 = Accumulate(s00, bias, scale0, t00);
            t01 = Accumulate(s01, bias, scale1, t01);
            bias = Vector512.Create(8 * sums[sumStride]);
            t10 = Accumulate(s10, bias, scale0, t10);
            t11 = Accumulate(s11, bias, scale1, t11);
            bias = Vector512.Create(8 * sums[2 * sumStride]);
            t20 = Accumulate(s20, bias, scale0, t20);
            t21 = Accumulate(s21, bias, scale1, t21);
            bias = Vector512.Create(8 * sums[3 * sumStride]);
            t30 = Accumulate(s30, bias, scale0, t30);
            t31 = Accumulate(s31, bias, scale1, t31);
        }

        float* result = args.Result + r * PanelLayout.Columns;
        var rowScale = Vector512.Create(args.RowScales[r]);
        (t00 * rowScale).Store(result);
        (t01 * rowScale).Store(result + 16);
        rowScale = Vector512.Create(args.RowScales[r + 1]);
        (t10 * rowScale).Store(result + PanelLayout.Columns);
        (t11 * rowScale).Store(result + PanelLayout.Columns + 16);
        rowScale = Vector512.Create(args.RowScales[r + 2]);
        (t20 * rowScale).Store(result + 2 * PanelLayout.Columns);
        (t21 * rowScale).Store(result + 2 * PanelLayout.Columns + 16);
        rowScale = Vector512.Create(args.RowScales[r + 3]);
        (t30 * rowScale).Store(result + 3 * PanelLayout.Columns);
        (t31 * rowScale).Store(result + 3 * PanelLayout.Columns + 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows1(in PanelArgs args, nint r)
    {
        byte* group = args.Panel;
        byte* row = args.Rows + r * args.RowBytes;
        int* sums = args.RowSums + r * args.RowSumStride;
        Vector512<float> t00 = default, t01 = default;
        for (nint k = 0; k < args.Inputs; k += PanelLayout.GroupInputs, group += PanelLayout.GroupBytes, sums++)
        {
            Prefetch.Line(group);
            byte* weights = group + 64;
            Vector512<short> s00 = default, s01 = default;
            for (byte* end = row + PanelLayout.GroupInputs; row < end; row += 8, weights += PanelLayout.StepBytes)
            {
                Prefetch.Step(weights);
                var b0 = Vector512.Load(weights);
                var b1 = Vector512.Load(weights + 64);
                var w0 = Low(b0);
                var w1 = Low(b1);
                var x = Four(row);
                s00 += MultiplyAddPairs(w0, x);
                s01 += MultiplyAddPairs(w1, x);
                w0 = High(b0);
                w1 = High(b1);
                x = Four(row + 4);
                s00 += MultiplyAddPairs(w0, x);
                s01 += MultiplyAddPairs(w1, x);
            }

            var scale0 = Bf16Scales((ushort*)group);
            var scale1 = Bf16Scales((ushort*)group + 16);
            var bias = Vector512.Create(8 * sums[0]);
            t00 = Accumulate(s00, bias, scale0, t00);
            t01 = Accumulate(s01, bias, scale1, t01);
        }

        float* result = args.Result + r * PanelLayout.Columns;
        var rowScale = Vector512.Create(args.RowScales[r]);
        (t00 * rowScale).Store(result);
        (t01 * rowScale).Store(result + 16);
    }
}
