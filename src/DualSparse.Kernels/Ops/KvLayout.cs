namespace DualSparse.Kernels.Ops;

/// <summary>
/// How keys and values lie in memory, as attention likes to read them. A page holds <see cref="PageKeys"/> consecutive positions of
/// one layer; in it, for each key-value head, the keys in panels of 16 positions ([panel, key size, 16], so that a vector holds
/// sixteen positions' values) and then the values ([position, value size padded to 32]).
/// </summary>
/// <param name="Heads">Key-value heads.</param>
/// <param name="KeySize">Values of a key.</param>
/// <param name="ValueSize">Values of a value.</param>
public readonly record struct KvLayout(int Heads, int KeySize, int ValueSize)
{
    /// <summary>Positions in a page: enough for long runs of memory, few enough for a short sequence to stay small.</summary>
    public const int PageKeys = 128;

    /// <summary>Positions in a panel: a cache line of f32.</summary>
    internal const int PanelKeys = 16;

    // Two vectors of 512 bits: the widest tile.
    private const int ValueAlignment = 32;

    /// <summary>Floats from one position's value to the next.</summary>
    internal int ValueStride => (ValueSize + ValueAlignment - 1) / ValueAlignment * ValueAlignment;

    /// <summary>Bytes of a page.</summary>
    public nuint PageBytes => (nuint)Heads * (nuint)HeadFloats * sizeof(float);

    private nint HeadFloats => (nint)PageKeys * (KeySize + ValueStride);

    /// <summary>Writes one position's key and value of one head.</summary>
    /// <param name="page">The page.</param>
    /// <param name="slot">The position's place in it, 0…127.</param>
    /// <param name="head">The key-value head.</param>
    /// <param name="key">[key size].</param>
    /// <param name="value">[value size].</param>
    public unsafe void Write(float* page, int slot, int head, ReadOnlySpan<float> key, ReadOnlySpan<float> value)
    {
        float* column = Keys(page, head) + slot / PanelKeys * PanelKeys * (nint)KeySize + slot % PanelKeys;
        for (int i = 0; i < key.Length; i++)
            column[i * PanelKeys] = key[i];
        var row = new Span<float>(Values(page, head) + slot * (nint)ValueStride, ValueStride);
        value.CopyTo(row);
        row[value.Length..].Clear();
    }

    /// <summary>A head's keys in a page.</summary>
    internal unsafe float* Keys(float* page, int head) => page + head * HeadFloats;

    /// <summary>A head's values in a page.</summary>
    internal unsafe float* Values(float* page, int head) => Keys(page, head) + PageKeys * (nint)KeySize;
}
