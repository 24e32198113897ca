using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Gemm.Portable;

/// <summary>f32 weights and rows by the 128-bit vectors that every platform has, fused multiply-adds where it has them.</summary>
internal sealed unsafe class PortableF32Kernel() : OnePanelKernel("vector", WeightFormat.F32, ActivationFormat.F32)
{
    private const int Columns = PanelLayout.Columns;

    protected override void MultiplyOne(in PanelArgs args)
    {
        nint stride = args.RowBytes / sizeof(float), r = 0;
        var weights = (float*)args.Panel;
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

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows4(float* row, nint stride, float* weights, float* result, nint inputs)
    {
        Vector128<float> s00 = default, s01 = default;
        Vector128<float> s10 = default, s11 = default;
        Vector128<float> s20 = default, s21 = default;
        Vector128<float> s30 = default, s31 = default;
        for (nint k = 0; k < inputs; k++, row++, weights += PanelLayout.Columns)
        {
            var w0 = Vector128.Load(weights);
            var w1 = Vector128.Load(weights + 4);
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
    private static void Rows1(float* row, float* weights, float* result, nint inputs)
    {
        Vector128<float> s00 = default, s01 = default, s02 = default, s03 = default;
        for (nint k = 0; k < inputs; k++, row++, weights += PanelLayout.Columns)
        {
            var w0 = Vector128.Load(weights);
            var w1 = Vector128.Load(weights + 4);
            var w2 = Vector128.Load(weights + 8);
            var w3 = Vector128.Load(weights + 12);
            var x = Vector128.Create(row[0]);
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
