using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Ops;

/// <summary>
/// How keys and values lie in memory: as the two matrices that attention multiplies with, in the panels of a weight format
/// (<see cref="PanelLayout"/>). A page holds <see cref="PageKeys"/> consecutive positions of one layer; in it, for each key-value head, the
/// keys, each an output of a product over the key's elements, and then the values, whose elements are outputs of a product over positions.
/// </summary>
/// <param name="Heads">Key-value heads.</param>
/// <param name="KeySize">Elements of a key.</param>
/// <param name="ValueSize">Elements of a value.</param>
/// <param name="Format">f32 or bf16.</param>
internal readonly unsafe record struct KvLayout(int Heads, int KeySize, int ValueSize, WeightFormat Format)
{
    /// <summary>Positions in a page: enough for long runs of memory, few enough for a short sequence to stay small.</summary>
    public const int PageKeys = 128;

    /// <summary>The number of pages that <paramref name="positions"/> positions take.</summary>
    public static long PageCount(long positions) => (positions + PageKeys - 1) / PageKeys;

    private const float LargestValue = 3.38e38f;

    /// <summary>Panels of a page's keys.</summary>
    internal const int KeyPanels = PageKeys / PanelLayout.Columns;

    /// <summary>The format for the cache of a model with such weights: f32 for f32, bf16 for all others.</summary>
    public static WeightFormat FormatFor(WeightFormat weights) => WeightFormats.Of(weights).Cache;

    /// <summary>Bytes of a page; see <see cref="Clear"/>: positions never written are multiplied by zero, so they must not hold a NaN.</summary>
    public nuint PageBytes => (nuint)Heads * (nuint)HeadBytes;

    /// <summary>Elements of a key, padding included.</summary>
    internal int KeyInputs => PanelLayout.PadInputs(KeySize);

    /// <summary>Panels of a value.</summary>
    internal int ValuePanels => PanelLayout.PanelCount(ValueSize);

    /// <summary>Bytes from one panel of keys to the next.</summary>
    internal nint KeyPanelBytes => PanelLayout.PanelBytes(Format, KeyInputs);

    /// <summary>Bytes from one panel of values to the next.</summary>
    internal nint ValuePanelBytes => PanelLayout.PanelBytes(Format, PageKeys);

    private nint HeadBytes => KeyPanels * KeyPanelBytes + ValuePanels * ValuePanelBytes;

    // Also after rounding to bf16, whose largest number is a little smaller.
    private static bool Finite(ReadOnlySpan<float> value) =>
        value.IsEmpty || MathF.Abs(TensorPrimitives.MaxMagnitude(value)) <= LargestValue;

    // Makes the key's first element, which every query multiplies, a NaN.
    private void SetNaN(byte* page, int slot, int head)
    {
        byte* keys = Keys(page, head) + slot / PanelLayout.Columns * KeyPanelBytes;
        int column = slot % PanelLayout.Columns;
        if (Format == WeightFormat.F32)
            ((float*)keys)[column] = float.NaN;
        else
            ((ushort*)keys)[2 * column] = Bf16.FromSingle(float.NaN);
    }

    // Inputs that a word of four bytes holds.
    private int PerWord => WeightFormats.Of(Format).StepInputs;

    /// <summary>A head's first panel of keys.</summary>
    internal byte* Keys(byte* page, int head) => page + head * HeadBytes;

    /// <summary>A head's first panel of values.</summary>
    internal byte* Values(byte* page, int head) => Keys(page, head) + KeyPanels * KeyPanelBytes;

    /// <summary>Clears a page that is to be written, unless all of it will be.</summary>
    /// <param name="page">The page.</param>
    /// <param name="positions">Positions that will be written before anything is multiplied with it.</param>
    public void Clear(byte* page, int positions)
    {
        if (positions < PageKeys || KeyInputs > KeySize)
            NativeMemory.Clear(page, PageBytes);
    }

    /// <summary>Writes one position's key and value of one head. Threads may write different positions at a time.</summary>
    /// <remarks>
    /// Positions that a query doesn't see are multiplied too, by a weight of 0, which a value that isn't finite would make a NaN. So such a
    /// value is stored as zeros, and its key holds a NaN instead: only queries that see the position get a NaN.
    /// </remarks>
    /// <param name="page">The page.</param>
    /// <param name="slot">The position's place in it, 0…127.</param>
    /// <param name="head">The key-value head.</param>
    /// <param name="key">[key size].</param>
    /// <param name="value">[value size].</param>
    public void Write(byte* page, int slot, int head, ReadOnlySpan<float> key, ReadOnlySpan<float> value)
    {
        const int columns = PanelLayout.Columns;
        byte* keys = Keys(page, head) + slot / columns * KeyPanelBytes;
        byte* values = Values(page, head);
        int column = slot % columns;
        bool finite = Finite(value);
        if (Format == WeightFormat.F32)
        {
            for (int i = 0; i < key.Length; i++)
                ((float*)keys)[i * columns + column] = key[i];
            for (int i = 0; i < value.Length; i++)
                ((float*)(values + i / columns * ValuePanelBytes))[slot * columns + i % columns] = finite ? value[i] : 0;
            if (!finite)
                SetNaN(page, slot, head);
            return;
        }

        ushort* narrow = stackalloc ushort[PanelLayout.InputAlignment];
        for (int from = 0; from < key.Length; from += PanelLayout.InputAlignment)
        {
            int count = Math.Min(PanelLayout.InputAlignment, key.Length - from);
            Bf16.FromSingle(key.Slice(from, count), new Span<ushort>(narrow, count));
            ushort* at = (ushort*)keys + from * columns + 2 * column;
            for (int i = 0; i < count; i++)
                at[i / 2 * 2 * columns + i % 2] = narrow[i];
        }

        for (int from = 0; from < value.Length; from += columns)
        {
            int count = Math.Min(columns, value.Length - from);
            if (finite)
                Bf16.FromSingle(value.Slice(from, count), new Span<ushort>(narrow, count));
            else
                new Span<ushort>(narrow, count).Clear();
            // Two bytes at a time: another thread may be writing the neighbouring element.
            ushort* at = (ushort*)(values + from / columns * ValuePanelBytes) + slot / 2 * 2 * columns + slot % 2;
            for (int i = 0; i < count; i++)
                at[2 * i] = narrow[i];
        }

        if (!finite)
            SetNaN(page, slot, head);
    }

    /// <summary>Reads one position's key of one head.</summary>
    /// <param name="page">The page.</param>
    /// <param name="slot">The position's place in it, 0…127.</param>
    /// <param name="head">The key-value head.</param>
    /// <param name="key">[key size].</param>
    public void ReadKey(byte* page, int slot, int head, Span<float> key)
    {
        const int columns = PanelLayout.Columns;
        byte* keys = Keys(page, head) + slot / columns * KeyPanelBytes;
        int column = slot % columns;
        for (int i = 0; i < key.Length; i++)
        {
            key[i] = Format == WeightFormat.F32
                ? ((float*)keys)[i * columns + column]
                : Bf16.ToSingle(((ushort*)keys)[(i / 2 * columns + column) * 2 + i % 2]);
        }
    }

    /// <summary>Writes some elements of many positions' keys of one head, from a page's first position on.</summary>
    /// <param name="page">The page.</param>
    /// <param name="head">The key-value head.</param>
    /// <param name="from">The first element.</param>
    /// <param name="count">The number of elements.</param>
    /// <param name="numbers">[positions, count], readable to a multiple of 32 positions.</param>
    /// <param name="stride">Floats from one position's elements to the next's.</param>
    /// <param name="positions">Positions, at most <see cref="PageKeys"/>; what follows them up to a multiple of 32 becomes undefined.</param>
    public void WriteKeys(byte* page, int head, int from, int count, float* numbers, nint stride, int positions)
    {
        const int columns = PanelLayout.Columns, most = PanelLayout.InputAlignment;
        if ((from | count) % PerWord != 0)
        {
            WriteHalfWords(page, head, from, count, numbers, stride, positions);
            return;
        }

        for (; count > most; from += most, count -= most, numbers += most)
            WriteKeys(page, head, from, most, numbers, stride, positions);
        int words = count / PerWord, whole = words / 4 * 4;
        uint* narrow = stackalloc uint[columns * most / 2];
        for (int p = 0; p < positions; p += columns)
        {
            uint* rows = (uint*)(numbers + p * stride);
            nint rowWords = stride;
            if (Format != WeightFormat.F32)
            {
                rowWords = most / 2;
                for (int r = 0; r < columns; r++)
                    Bf16.FromSingle(new ReadOnlySpan<float>(rows + r * stride, count), new Span<ushort>(narrow + r * rowWords, count));
                rows = narrow;
            }

            uint* steps = (uint*)(Keys(page, head) + p / columns * KeyPanelBytes) + from / PerWord * columns;
            WordTranspose.Run(rows, rowWords, columns, whole, steps);
            for (int i = whole; i < words; i++)
            {
                for (int r = 0; r < columns; r++)
                    steps[i * columns + r] = rows[r * rowWords + i];
            }
        }
    }

    // Elements that begin or end within a word: bf16, one by one.
    private void WriteHalfWords(byte* page, int head, int from, int count, float* numbers, nint stride, int positions)
    {
        const int columns = PanelLayout.Columns;
        for (int p = 0; p < positions; p++)
        {
            ushort* key = (ushort*)(Keys(page, head) + p / columns * KeyPanelBytes) + 2 * (p % columns);
            for (int i = 0; i < count; i++)
                key[(from + i) / 2 * 2 * columns + (from + i) % 2] = Bf16.FromSingle(numbers[p * stride + i]);
        }
    }

    /// <summary>
    /// Writes 32 elements of many positions' values of one head, from a page's first position on, after their keys. What isn't finite is
    /// stored as in <see cref="Write"/>.
    /// </summary>
    /// <param name="page">The page.</param>
    /// <param name="head">The key-value head.</param>
    /// <param name="from">The first element, a multiple of 32; those past the value's end are padding.</param>
    /// <param name="numbers">[positions, 32]; what isn't finite is overwritten.</param>
    /// <param name="positions">Positions, at most <see cref="PageKeys"/>.</param>
    public void WriteValues(byte* page, int head, int from, float* numbers, int positions)
    {
        const int columns = PanelLayout.Columns;
        byte* panel = Values(page, head) + from / columns * ValuePanelBytes;
        for (int p = 0; p < positions; p++)
        {
            var value = new Span<float>(numbers + p * columns, columns);
            if (Finite(value))
                continue;
            value.Clear();
            SetNaN(page, p, head);
        }

        if (Format == WeightFormat.F32)
        {
            Buffer.MemoryCopy(numbers, panel, ValuePanelBytes, positions * columns * sizeof(float));
            return;
        }

        ushort* narrow = stackalloc ushort[columns];
        for (int p = 0; p < positions; p++)
        {
            Bf16.FromSingle(new ReadOnlySpan<float>(numbers + p * columns, columns), new Span<ushort>(narrow, columns));
            ushort* at = (ushort*)panel + p / 2 * 2 * columns + p % 2;
            for (int i = 0; i < columns; i++)
                at[2 * i] = narrow[i];
        }
    }
}
