using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using DualSparse.Kernels.Packing;

namespace DualSparse.Training.Products;

/// <summary>Operands made from the rows of an f32 matrix: those that forward passes multiply.</summary>
internal static unsafe class Rows
{
    /// <summary>Encodes rows as the left operand.</summary>
    /// <param name="arithmetic">The form.</param>
    /// <param name="source">[count, inputs] f32, the rows at <paramref name="index"/> where that isn't null.</param>
    /// <param name="stride">Floats from one row of the source to the next.</param>
    /// <param name="index">[count] the source's row of each; null: they follow each other.</param>
    /// <param name="count">Rows.</param>
    /// <param name="inputs">Their length.</param>
    /// <param name="rows">Receives them.</param>
    /// <param name="rowBytes">Bytes from one to the next.</param>
    public static void Encode(Arithmetic arithmetic, float* source, nint stride, int* index, int count, int inputs, byte* rows, nint rowBytes)
    {
        for (int r = 0; r < count; r++)
            arithmetic.EncodeRow(source + (index is null ? r : index[r]) * stride, inputs, rows + r * rowBytes);
    }

    /// <summary>Packs rows as panels, each row an output.</summary>
    /// <param name="arithmetic">The form.</param>
    /// <param name="source">[outputs, inputs] f32.</param>
    /// <param name="stride">Floats from one row of the source to the next.</param>
    /// <param name="outputs">Rows.</param>
    /// <param name="inputs">Their length.</param>
    /// <param name="panels">Receives ⌈outputs/32⌉ panels.</param>
    /// <param name="panelBytes">Bytes from one panel to the next.</param>
    [SkipLocalsInit]
    public static void ToPanels(Arithmetic arithmetic, float* source, nint stride, int outputs, int inputs, byte* panels, nint panelBytes)
    {
        const int width = PanelLayout.Columns;
        int padded = PanelLayout.PadInputs(inputs);
        float[]? scratch = null;
        var format = WeightFormats.Of(arithmetic.PanelFormat);
        for (int first = 0; first < outputs; first += width, panels += panelBytes)
        {
            int count = Math.Min(width, outputs - first);
            if (count == width && padded == inputs && stride == inputs)
            {
                format.Pack(source + first * stride, padded, panels);
                continue;
            }

            scratch ??= GC.AllocateUninitializedArray<float>(width * padded);
            fixed (float* rows = scratch)
            {
                for (int r = 0; r < width; r++)
                {
                    int length = r < count ? inputs : 0;
                    if (length > 0)
                        NativeMemory.Copy(source + (first + r) * stride, rows + r * padded, (nuint)inputs * sizeof(float));
                    new Span<float>(rows + r * padded + length, padded - length).Clear();
                }

                format.Pack(rows, padded, panels);
            }
        }
    }
}
