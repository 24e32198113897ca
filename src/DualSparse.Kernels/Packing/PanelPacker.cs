using System.Numerics.Tensors;

namespace DualSparse.Kernels.Packing;

/// <summary>f32 rows into a panel, rounding on the way.</summary>
internal static unsafe class PanelPacker
{
    private const int Columns = PanelLayout.Columns;

    /// <summary>Packs [32, inputs] f32 into a panel of <paramref name="format"/>.</summary>
    public static void Pack(WeightFormat format, ReadOnlySpan<float> rows, int inputs, byte* panel)
    {
        fixed (float* source = rows)
        {
            switch (format)
            {
                case WeightFormat.F32:
                    for (int k = 0; k < inputs; k++)
                    {
                        for (int c = 0; c < Columns; c++)
                            ((float*)panel)[k * Columns + c] = source[c * (nint)inputs + k];
                    }

                    break;
                case WeightFormat.Bf16:
                    for (int k = 0; k < inputs; k += 2)
                    {
                        for (int c = 0; c < Columns; c++)
                        {
                            float* pair = source + c * (nint)inputs + k;
                            ((uint*)panel)[k / 2 * Columns + c] = Bf16.FromSingle(pair[0]) | (uint)Bf16.FromSingle(pair[1]) << 16;
                        }
                    }

                    break;
                case WeightFormat.Int8:
                    PackInt8(rows, source, inputs, panel);
                    break;
                case WeightFormat.Int4:
                    PackInt4(source, inputs, panel);
                    break;
            }
        }
    }

    // Symmetric, one scale an output: scale = max|w| / 127.
    private static void PackInt8(ReadOnlySpan<float> rows, float* source, int inputs, byte* panel)
    {
        for (int c = 0; c < Columns; c++)
        {
            float largest = MathF.Abs(TensorPrimitives.MaxMagnitude(rows.Slice(c * inputs, inputs)));
            float inverse = largest > 0 ? 127 / largest : 0;
            ((float*)panel)[c] = largest / 127;
            float* row = source + c * (nint)inputs;
            byte* quads = panel + PanelLayout.Int8HeaderBytes + 4 * c;
            for (int k = 0; k < inputs; k += 4)
            {
                for (int j = 0; j < 4; j++)
                    quads[k / 4 * PanelLayout.StepBytes + j] = (byte)((int)MathF.Round(row[k + j] * inverse) + 128);
            }
        }
    }

    private static void PackInt4(float* source, int inputs, byte* panel)
    {
        byte* codes = stackalloc byte[PanelLayout.GroupInputs];
        for (int k = 0; k < inputs; k += PanelLayout.GroupInputs)
        {
            byte* group = panel + k / PanelLayout.GroupInputs * PanelLayout.GroupBytes;
            for (int c = 0; c < Columns; c++)
            {
                ((ushort*)group)[c] = Int4Group.Quantize(new ReadOnlySpan<float>(source + c * (nint)inputs + k, PanelLayout.GroupInputs), codes);
                byte* bytes = group + 64 + 4 * c;
                for (int i = 0; i < PanelLayout.GroupInputs; i += 8)
                {
                    for (int j = 0; j < 4; j++)
                        bytes[i / 8 * PanelLayout.StepBytes + j] = (byte)(codes[i + j] | codes[i + 4 + j] << 4);
                }
            }
        }
    }
}
