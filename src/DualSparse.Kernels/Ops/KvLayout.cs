using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Ops;

/// <summary>
/// How keys and values lie in memory, as attention likes to read them. A page holds <see cref="PageKeys"/> consecutive positions of
/// one layer; in it, for each key-value head, the keys in panels of 16 positions ([panel, key size, 16], so that a vector holds
/// sixteen positions' numbers) and then the values in panels of 16 numbers ([panel, position, 16], padded with zeros to an even number
/// of panels). Both are read from front to back. Where a value is the beginning of its key, each is kept once, as values are.
/// </summary>
/// <param name="Heads">Key-value heads.</param>
/// <param name="KeySize">Numbers of a key.</param>
/// <param name="ValueSize">Numbers of a value.</param>
/// <param name="ValuesInKeys">Whether a value is the first numbers of its key: multi-head latent attention's cache.</param>
public readonly record struct KvLayout(int Heads, int KeySize, int ValueSize, bool ValuesInKeys = false)
{
    /// <summary>Positions in a page: enough for long runs of memory, few enough for a short sequence to stay small.</summary>
    public const int PageKeys = 128;

    /// <summary>Columns of a panel: a cache line of f32.</summary>
    internal const int Panel = 16;

    // Two vectors of 512 bits: the widest tile.
    private const int ValueAlignment = 32;

    /// <summary>Numbers of a value, padding included.</summary>
    internal int PaddedValueSize => Pad(ValueSize);

    /// <summary>Bytes of a page.</summary>
    public nuint PageBytes => (nuint)Heads * (nuint)HeadFloats * sizeof(float);

    /// <summary>Floats that <see cref="TurnKeys"/> writes; 0 where keys are kept as they are scored.</summary>
    internal int TurnedFloats => ValuesInKeys ? Pad(KeySize) * Panel : 0;

    // Keys that are kept apart stand before the values.
    private int ValuesFrom => ValuesInKeys ? 0 : KeySize;

    private nint HeadFloats => (nint)PageKeys * (ValuesInKeys ? Pad(KeySize) : KeySize + PaddedValueSize);

    /// <summary>Writes one position's key and value of one head.</summary>
    /// <param name="page">The page.</param>
    /// <param name="slot">The position's place in it, 0…127.</param>
    /// <param name="head">The key-value head.</param>
    /// <param name="key">[key size].</param>
    /// <param name="value">[value size]; not read where it is the beginning of the key.</param>
    public unsafe void Write(float* page, int slot, int head, ReadOnlySpan<float> key, ReadOnlySpan<float> value)
    {
        if (ValuesInKeys)
        {
            value = key;
        }
        else
        {
            float* column = Keys(page, head, slot);
            for (int i = 0; i < key.Length; i++)
                column[i * Panel] = key[i];
        }

        for (int i = 0; i < Pad(value.Length); i += Panel)
        {
            var row = new Span<float>(Values(page, head, i) + slot * Panel, Panel);
            int count = Math.Clamp(value.Length - i, 0, Panel);
            value.Slice(Math.Min(i, value.Length), count).CopyTo(row);
            row[count..].Clear();
        }
    }

    /// <summary>Writes some numbers of many positions' keys of one head, from a page's first position on. Not where values are in keys.</summary>
    /// <param name="page">The page.</param>
    /// <param name="head">The key-value head.</param>
    /// <param name="from">The first number.</param>
    /// <param name="count">Numbers.</param>
    /// <param name="numbers">[positions, count], readable to a multiple of 16 positions.</param>
    /// <param name="stride">Floats from one position's numbers to the next's.</param>
    /// <param name="positions">Positions, at most <see cref="PageKeys"/>; what lies behind them up to a multiple of 16 becomes undefined.</param>
    public unsafe void WriteKeys(float* page, int head, int from, int count, float* numbers, nint stride, int positions)
    {
        int whole = count / 4 * 4;
        for (int p = 0; p < positions; p += Panel)
        {
            float* panel = Keys(page, head, p) + from * Panel, rows = numbers + p * stride;
            WordTranspose.Run((uint*)rows, stride, Panel, whole, (uint*)panel);
            for (int i = whole; i < count; i++)
            {
                for (int r = 0; r < Panel; r++)
                    panel[i * Panel + r] = rows[r * stride + i];
            }
        }
    }

    /// <summary>Writes 32 numbers of many positions' values of one head, from a page's first position on.</summary>
    /// <param name="page">The page.</param>
    /// <param name="head">The key-value head.</param>
    /// <param name="from">The first number, a multiple of 32; those past the value's end are padding.</param>
    /// <param name="numbers">[positions, 32].</param>
    /// <param name="positions">Positions, at most <see cref="PageKeys"/>.</param>
    public unsafe void WriteValues(float* page, int head, int from, float* numbers, int positions)
    {
        for (int i = 0; i < ValueAlignment; i += Panel)
        {
            float* panel = Values(page, head, from + i);
            for (int p = 0; p < positions; p++)
                new ReadOnlySpan<float>(numbers + p * ValueAlignment + i, Panel).CopyTo(new Span<float>(panel + p * Panel, Panel));
        }
    }

    /// <summary>Reads the beginning of one position's value of one head, or of its key where that holds the value.</summary>
    /// <param name="page">The page.</param>
    /// <param name="slot">The position's place in it, 0…127.</param>
    /// <param name="head">The key-value head.</param>
    /// <param name="numbers">At most [value size] or [key size].</param>
    public unsafe void Read(float* page, int slot, int head, Span<float> numbers)
    {
        for (int i = 0; i < numbers.Length; i += Panel)
        {
            var row = new ReadOnlySpan<float>(Values(page, head, i) + slot * Panel, Math.Min(Panel, numbers.Length - i));
            row.CopyTo(numbers[i..]);
        }
    }

    /// <summary>Where a head's keys from a position on begin; a row of them is <see cref="Panel"/> floats from the next.</summary>
    internal unsafe float* Keys(float* page, int head, int slot) =>
        page + head * HeadFloats + slot / Panel * Panel * (nint)KeySize + slot % Panel;

    /// <summary>Where a head's values from a column on begin; a position is <see cref="Panel"/> floats from the next.</summary>
    internal unsafe float* Values(float* page, int head, int column) =>
        page + head * HeadFloats + PageKeys * (nint)(ValuesFrom + column / Panel * Panel) + column % Panel;

    /// <summary>Brings a panel of keys that are kept as values into the form in which they are scored.</summary>
    /// <param name="page">The page.</param>
    /// <param name="head">The key-value head.</param>
    /// <param name="slot">The panel's first position, a multiple of 16.</param>
    /// <param name="turned">[key size, 16], room for <see cref="TurnedFloats"/>.</param>
    internal unsafe void TurnKeys(float* page, int head, int slot, float* turned)
    {
        for (int i = 0; i < KeySize; i += Panel)
            WordTranspose.Run((uint*)(Values(page, head, i) + slot * Panel), Panel, Panel, Panel, (uint*)(turned + i * Panel));
    }

    private static int Pad(int size) => (size + ValueAlignment - 1) / ValueAlignment * ValueAlignment;
}
