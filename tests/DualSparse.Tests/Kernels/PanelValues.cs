using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Tests.Kernels;

/// <summary>The weights that a panel holds, by the definition of <see cref="PanelLayout"/>, and the values that encoded rows stand for.</summary>
internal static unsafe class PanelValues
{
    public static double Weight(PackedMatrix matrix, int output, int input)
    {
        byte* panel = matrix.Panel(output / PanelLayout.Columns);
        int c = output % PanelLayout.Columns;
        switch (matrix.Format)
        {
            case WeightFormat.F32:
                return *(float*)(panel + input * PanelLayout.StepBytes + 4 * c);
            case WeightFormat.Bf16:
                return Bf16.ToSingle(((ushort*)(panel + input / 2 * PanelLayout.StepBytes + 4 * c))[input % 2]);
            case WeightFormat.Int8:
                byte* step = panel + PanelLayout.Int8HeaderBytes + input / 4 * PanelLayout.StepBytes;
                return (double)((float*)panel)[c] * (step[4 * c + input % 4] - 128);
            default:
                byte* group = panel + input / PanelLayout.GroupInputs * PanelLayout.GroupBytes;
                int packed = group[64 + input % PanelLayout.GroupInputs / 8 * PanelLayout.StepBytes + 4 * c + input % 4];
                return (double)Bf16.ToSingle(((ushort*)group)[c]) * ((input % 8 < 4 ? packed & 15 : packed >> 4) - 8);
        }
    }

    /// <summary>The scale of a group of int4 weights.</summary>
    public static float GroupScale(PackedMatrix matrix, int output, int input) => Bf16.ToSingle(
        ((ushort*)(matrix.Panel(output / PanelLayout.Columns) + input / PanelLayout.GroupInputs * PanelLayout.GroupBytes))[output % PanelLayout.Columns]);

    /// <summary>An encoded row's value.</summary>
    public static double Activation(PanelArgs args, ActivationFormat format, int row, int input)
    {
        byte* values = args.Rows + row * args.RowBytes;
        return format switch
        {
            ActivationFormat.F32 => ((float*)values)[input],
            ActivationFormat.Bf16 => Bf16.ToSingle(((ushort*)values)[input]),
            ActivationFormat.Int8 => (double)((sbyte*)values)[input] * args.RowScales[row],
            _ => (double)((short*)values)[input] * args.RowScales[row],
        };
    }
}
