using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Gemm.Portable;

/// <summary>int4 weights and rows of 16-bit integers by the 128-bit vectors that every platform has.</summary>
internal sealed unsafe class PortableInt4Kernel() : OnePanelKernel("vector", WeightFormat.Int4, ActivationFormat.Int16)
{
    protected override void MultiplyOne(in PanelArgs args)
    {
        for (nint r = 0; r < args.RowCount; r++)
        {
            for (nint c = 0; c < PanelLayout.Columns; c += 8)
                Row(args, r, c);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Row(in PanelArgs args, nint r, nint c)
    {
        byte* group = args.Panel;
        var row = (short*)(args.Rows + r * args.RowBytes);
        int* sums = args.RowSums + r * args.RowSumStride;
        Vector128<float> low = default, high = default;
        for (nint k = 0; k < args.Inputs; k += PanelLayout.GroupInputs, group += PanelLayout.GroupBytes, sums++)
        {
            byte* weights = group + 64 + 4 * c;
            // An element receives 8 products of at most 15 · 127: 15240, less than 2¹⁵.
            Vector128<short> s0 = default, s1 = default, s2 = default, s3 = default;
            for (short* end = row + PanelLayout.GroupInputs; row < end; row += 8, weights += PanelLayout.StepBytes)
            {
                var first = Vector128.Load(weights);
                var second = Vector128.Load(weights + 16);
                MultiplyAdd(first & Vector128.Create((byte)15), row, ref s0, ref s1);
                MultiplyAdd(second & Vector128.Create((byte)15), row, ref s2, ref s3);
                MultiplyAdd(first >>> 4, row + 4, ref s0, ref s1);
                MultiplyAdd(second >>> 4, row + 4, ref s2, ref s3);
            }

            var bias = Vector128.Create(8 * sums[0]);
            var (scaleLow, scaleHigh) = Vector128.Widen(Vector128.Load((ushort*)group + c));
            low = Accumulate(Pairs.AddNeighbours(Pairs.Sum(s0), Pairs.Sum(s1)) - bias, scaleLow, low);
            high = Accumulate(Pairs.AddNeighbours(Pairs.Sum(s2), Pairs.Sum(s3)) - bias, scaleHigh, high);
        }

        var rowScale = Vector128.Create(args.RowScales[r]);
        (low * rowScale).Store(args.Result + r * PanelLayout.Columns + c);
        (high * rowScale).Store(args.Result + r * PanelLayout.Columns + c + 4);
    }

    // Weights + 8 of four inputs for each of four outputs, with these inputs of a row.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void MultiplyAdd(Vector128<byte> weights, short* row, ref Vector128<short> low, ref Vector128<short> high)
    {
        var x = Vector128.Create(*(long*)row).AsInt16();
        var (w0, w1) = Vector128.Widen(weights);
        low += w0.AsInt16() * x;
        high += w1.AsInt16() * x;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Accumulate(Vector128<int> sum, Vector128<uint> scale, Vector128<float> total) =>
        Vector128.MultiplyAddEstimate(Vector128.ConvertToSingle(sum), (scale << 16).AsSingle(), total);
}
