namespace DualSparse.Kernels.Ops;

/// <summary>
/// How keys and values lie in memory, as attention likes to read them. A page holds <see cref="PageKeys"/> consecutive positions of
/// one layer; in it, for each key-value head, the keys in panels of 16 positions ([panel, key size, 16], so that a vector holds
/// sixteen positions' numbers) and then the values in panels of 16 numbers ([panel, position, 16], padded with zeros to an even number
/// of panels). Both are read from front to back.
/// </summary>
/// <param name="Heads">Key-value heads.</param>
/// <param name="KeySize">Values of a key.</param>
/// <param name="ValueSize">Values of a value.</param>
public readonly record struct KvLayout(int Heads, int KeySize, int ValueSize)
{
    /// <summary>Positions in a page: enough for long runs of memory, few enough for a short sequence to stay small.</summary>
    public const int PageKeys = 128;

    /// <summary>Columns of a panel: a cache line of f32.</summary>
    internal const int Panel = 16;

    // Two vectors of 512 bits: the widest tile.
    private const int ValueAlignment = 32;

    /// <summary>Numbers of a value, padding included.</summary>
    internal int PaddedValueSize => (ValueSize + ValueAlignment - 1) / ValueAlignment * ValueAlignment;

    /// <summary>Bytes of a page.</summary>
    public nuint PageBytes => (nuint)Heads * (nuint)HeadFloats * sizeof(float);

    private nint HeadFloats => (nint)PageKeys * (KeySize + PaddedValueSize);

    /// <summary>Writes one position's key and value of one head.</summary>
    /// <param name="page">The page.</param>
    /// <param name="slot">The position's place in it, 0…127.</param>
    /// <param name="head">The key-value head.</param>
    /// <param name="key">[key size].</param>
    /// <param name="value">[value size].</param>
    public unsafe void Write(float* page, int slot, int head, ReadOnlySpan<float> key, ReadOnlySpan<float> value)
    {
        float* column = Keys(page, head, slot);
        for (int i = 0; i < key.Length; i++)
            column[i * Panel] = key[i];
        for (int i = 0; i < PaddedValueSize; i += Panel)
        {
            var row = new Span<float>(Values(page, head, i) + slot * Panel, Panel);
            int count = Math.Clamp(value.Length - i, 0, Panel);
            value.Slice(Math.Min(i, value.Length), count).CopyTo(row);
            row[count..].Clear();
        }
    }

    /// <summary>Where a head's keys from a position on begin; a row of them is <see cref="Panel"/> floats from the next.</summary>
    internal unsafe float* Keys(float* page, int head, int slot) =>
        page + head * HeadFloats + slot / Panel * Panel * (nint)KeySize + slot % Panel;

    /// <summary>Where a head's values from a column on begin; a position is <see cref="Panel"/> floats from the next.</summary>
    internal unsafe float* Values(float* page, int head, int column) =>
        page + head * HeadFloats + PageKeys * (nint)(KeySize + column / Panel * Panel) + column % Panel;
}
