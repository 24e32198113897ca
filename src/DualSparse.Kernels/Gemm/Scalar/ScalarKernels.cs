using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Gemm.Scalar;

/// <summary>f32 weights, one multiply-add at a time: the reference.</summary>
internal sealed unsafe class ScalarF32Kernel() : OnePanelKernel("scalar", WeightFormat.F32, ActivationFormat.F32)
{
    protected override void MultiplyOne(in PanelArgs args)
    {
        for (nint r = 0; r < args.RowCount; r++)
        {
            float* row = (float*)(args.Rows + r * args.RowBytes);
            for (int c = 0; c < PanelLayout.Columns; c++)
            {
                float* weight = (float*)args.Panel + c;
                float sum = 0;
                for (nint k = 0; k < args.Inputs; k++)
                    sum = MathF.FusedMultiplyAdd(row[k], weight[k * PanelLayout.Columns], sum);
                args.Result[r * PanelLayout.Columns + c] = sum;
            }
        }
    }
}

/// <summary>Both operands rounded to bf16, their products summed in single precision: the reference.</summary>
internal sealed unsafe class ScalarBf16Kernel() : OnePanelKernel("scalar", WeightFormat.Bf16, ActivationFormat.Bf16)
{
    protected override void MultiplyOne(in PanelArgs args)
    {
        for (nint r = 0; r < args.RowCount; r++)
        {
            ushort* row = (ushort*)(args.Rows + r * args.RowBytes);
            for (int c = 0; c < PanelLayout.Columns; c++)
            {
                ushort* pair = (ushort*)args.Panel + 2 * c;
                float sum = 0;
                for (nint k = 0; k < args.Inputs; k += 2, pair += 2 * PanelLayout.Columns)
                {
                    sum = MathF.FusedMultiplyAdd(Bf16.ToSingle(row[k]), Bf16.ToSingle(pair[0]), sum);
                    sum = MathF.FusedMultiplyAdd(Bf16.ToSingle(row[k + 1]), Bf16.ToSingle(pair[1]), sum);
                }

                args.Result[r * PanelLayout.Columns + c] = sum;
            }
        }
    }
}

/// <summary>int8 weights and rows: the reference.</summary>
internal sealed unsafe class ScalarInt8Kernel() : OnePanelKernel("scalar", WeightFormat.Int8, ActivationFormat.Int8)
{
    protected override void MultiplyOne(in PanelArgs args)
    {
        float* scales = (float*)args.Panel;
        for (nint r = 0; r < args.RowCount; r++)
        {
            sbyte* row = (sbyte*)(args.Rows + r * args.RowBytes);
            for (int c = 0; c < PanelLayout.Columns; c++)
            {
                byte* quad = args.Panel + PanelLayout.Int8HeaderBytes + 4 * c;
                int sum = 0;
                for (nint k = 0; k < args.Inputs; k++)
                    sum += row[k] * (quad[k / 4 * PanelLayout.StepBytes + k % 4] - 128);
                args.Result[r * PanelLayout.Columns + c] = sum * scales[c] * args.RowScales[r];
            }
        }
    }
}

/// <summary>int4 weights and int8 rows: the reference.</summary>
internal sealed unsafe class ScalarInt4Kernel() : OnePanelKernel("scalar", WeightFormat.Int4, ActivationFormat.Int8)
{
    protected override void MultiplyOne(in PanelArgs args)
    {
        for (nint r = 0; r < args.RowCount; r++)
        {
            sbyte* row = (sbyte*)(args.Rows + r * args.RowBytes);
            for (int c = 0; c < PanelLayout.Columns; c++)
            {
                float total = 0;
                for (nint g = 0; g < args.Inputs / PanelLayout.GroupInputs; g++)
                {
                    byte* group = args.Panel + g * PanelLayout.GroupBytes;
                    int sum = 0;
                    for (int k = 0; k < PanelLayout.GroupInputs; k++)
                    {
                        int packed = group[64 + k / 8 * PanelLayout.StepBytes + 4 * c + k % 4];
                        sum += row[g * PanelLayout.GroupInputs + k] * ((k % 8 < 4 ? packed & 15 : packed >> 4) - 8);
                    }

                    total = MathF.FusedMultiplyAdd(sum, Bf16.ToSingle(((ushort*)group)[c]), total);
                }

                args.Result[r * PanelLayout.Columns + c] = total * args.RowScales[r];
            }
        }
    }
}
