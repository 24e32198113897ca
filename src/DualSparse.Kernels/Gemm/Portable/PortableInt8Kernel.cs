using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Gemm.Portable;

/// <summary>int8 weights and rows of 16-bit integers by the 128-bit vectors that every platform has.</summary>
internal sealed unsafe class PortableInt8Kernel() : OnePanelKernel("vector", WeightFormat.Int8, ActivationFormat.Int16)
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
        byte* weights = args.Panel + PanelLayout.Int8HeaderBytes + 4 * c;
        var row = (short*)(args.Rows + r * args.RowBytes);
        Vector128<int> s0 = default, s1 = default, s2 = default, s3 = default;
        for (nint k = 0; k < args.Inputs; k += 4, row += 4, weights += PanelLayout.StepBytes)
        {
            var x = Vector128.Create(*(long*)row).AsInt16();
            var (w0, w1) = Vector128.Widen(Vector128.Load(weights));
            var (w2, w3) = Vector128.Widen(Vector128.Load(weights + 16));
            s0 += Pairs.Sum(w0.AsInt16() * x);
            s1 += Pairs.Sum(w1.AsInt16() * x);
            s2 += Pairs.Sum(w2.AsInt16() * x);
            s3 += Pairs.Sum(w3.AsInt16() * x);
        }

        Finish(args, r, c, Pairs.AddNeighbours(s0, s1));
        Finish(args, r, c + 4, Pairs.AddNeighbours(s2, s3));
    }

    private static void Finish(in PanelArgs args, nint r, nint c, Vector128<int> sum)
    {
        sum -= Vector128.Create(128 * args.RowSums[r * args.RowSumStride]);
        var result = Vector128.ConvertToSingle(sum) * Vector128.Load((float*)args.Panel + c) * Vector128.Create(args.RowScales[r]);
        result.Store(args.Result + r * PanelLayout.Columns + c);
    }
}
