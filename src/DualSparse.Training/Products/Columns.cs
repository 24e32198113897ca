using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using DualSparse.Kernels;
using DualSparse.Kernels.Packing;

namespace DualSparse.Training.Products;

/// <summary>
/// Operands made from the columns of an f32 matrix [inputs, columns]: the transposes that backward passes multiply. A step of a panel holds
/// an input's 32 columns in f32, or those of two inputs in bf16; the rows are the same words, transposed.
/// </summary>
internal static unsafe class Columns
{
    private const int Width = PanelLayout.Columns;

    /// <summary>Packs columns as panels, each summing over the matrix's rows.</summary>
    /// <param name="arithmetic">The form.</param>
    /// <param name="source">[inputs, columns] f32, the rows at <paramref name="index"/> where that isn't null.</param>
    /// <param name="stride">Floats from one row of the source to the next.</param>
    /// <param name="index">[inputs] the source's row of each input; null: they follow each other.</param>
    /// <param name="inputs">Rows to sum over.</param>
    /// <param name="columns">Columns: outputs of the panels.</param>
    /// <param name="panels">Receives ⌈columns/32⌉ panels.</param>
    /// <param name="panelBytes">Bytes from one panel to the next.</param>
    public static void ToPanels(Arithmetic arithmetic, float* source, nint stride, int* index, int inputs, int columns, byte* panels, nint panelBytes)
    {
        for (int column = 0; column < columns; column += Width, panels += panelBytes)
        {
            int width = Math.Min(Width, columns - column);
            if (arithmetic.IsBf16)
                Pairs(source + column, stride, index, inputs, width, (uint*)panels);
            else
                Singles(source + column, stride, index, inputs, width, (uint*)panels);
        }
    }

    /// <summary>Encodes columns as rows, each of the matrix's rows: the left operand of a product that sums over them.</summary>
    /// <param name="arithmetic">The form.</param>
    /// <param name="source">As for <see cref="ToPanels"/>.</param>
    /// <param name="stride">Floats from one row of the source to the next.</param>
    /// <param name="index">As for <see cref="ToPanels"/>.</param>
    /// <param name="inputs">Rows of the source.</param>
    /// <param name="columns">Columns: rows of the operand.</param>
    /// <param name="rows">Receives <paramref name="columns"/> rows; up to 31 after them are overwritten.</param>
    /// <param name="rowBytes">Bytes from one of them to the next.</param>
    /// <param name="steps">Scratch of a panel over <paramref name="inputs"/> inputs.</param>
    public static void ToRows(Arithmetic arithmetic, float* source, nint stride, int* index, int inputs, int columns, byte* rows, nint rowBytes, byte* steps)
    {
        int words = PanelLayout.PadInputs(inputs) / (arithmetic.IsBf16 ? 2 : 1);
        for (int column = 0; column < columns; column += Width, rows += Width * rowBytes)
        {
            int width = Math.Min(Width, columns - column);
            if (arithmetic.IsBf16)
                Pairs(source + column, stride, index, inputs, width, (uint*)steps);
            else
                Singles(source + column, stride, index, inputs, width, (uint*)steps);
            Transpose((uint*)steps, words, (uint*)rows, rowBytes / sizeof(uint), (width + 3) / 4 * 4);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Singles(float* source, nint stride, int* index, int inputs, int width, uint* steps)
    {
        for (int k = 0; k < inputs; k++, steps += Width)
            Copy(source + (index is null ? k : index[k]) * stride, width, (float*)steps);
        new Span<uint>(steps, (PanelLayout.PadInputs(inputs) - inputs) * Width).Clear();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization), SkipLocalsInit]
    private static void Pairs(float* source, nint stride, int* index, int inputs, int width, uint* steps)
    {
        float* edge = stackalloc float[2 * Width];
        for (int k = 0; k < inputs; k += 2, steps += Width)
        {
            float* even = source + (index is null ? k : index[k]) * stride;
            float* odd = k + 1 < inputs ? source + (index is null ? k + 1 : index[k + 1]) * stride : null;
            if (width < Width || odd is null)
            {
                Copy(even, width, edge);
                if (odd is null)
                    new Span<float>(edge + Width, Width).Clear();
                else
                    Copy(odd, width, edge + Width);
                even = edge;
                odd = edge + Width;
            }

            for (int c = 0; c < Width; c += 16)
                (Bf16.Round(Vector512.Load(even + c)) | (Bf16.Round(Vector512.Load(odd + c)) << 16)).Store(steps + c);
        }

        new Span<uint>(steps, (PanelLayout.PadInputs(inputs) / 2 - (inputs + 1) / 2) * Width).Clear();
    }

    private static void Copy(float* source, int width, float* target)
    {
        new ReadOnlySpan<float>(source, width).CopyTo(new Span<float>(target, Width));
        if (width < Width)
            new Span<float>(target + width, Width - width).Clear();
    }

    // [count, 32] words to `columns` rows of `count` words; both are multiples of 4.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transpose(uint* steps, int count, uint* rows, nint rowWords, int columns)
    {
        for (int k = 0; k < count; k += 4, steps += 4 * Width)
        {
            uint* target = rows + k;
            for (int c = 0; c < columns; c += 4, target += 4 * rowWords)
            {
                var (a, b) = (Vector128.Load(steps + c), Vector128.Load(steps + Width + c));
                var (d, e) = (Vector128.Load(steps + 2 * Width + c), Vector128.Load(steps + 3 * Width + c));
                var (ad0, ad1) = WordTranspose.Zip(a, d);
                var (be0, be1) = WordTranspose.Zip(b, e);
                var (row0, row1) = WordTranspose.Zip(ad0, be0);
                var (row2, row3) = WordTranspose.Zip(ad1, be1);
                row0.Store(target);
                row1.Store(target + rowWords);
                row2.Store(target + 2 * rowWords);
                row3.Store(target + 3 * rowWords);
            }
        }
    }
}
