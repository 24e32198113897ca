namespace DualSparse.Tests.Kernels.Emulation;

/// <summary>Eight tile registers and their shapes.</summary>
internal sealed class TileState
{
    private const int Count = 8, MaxRows = 16, MaxRowBytes = 64, ConfigurationBytes = 64, Palette = 1;
    private readonly byte[] data = new byte[Count * MaxRows * MaxRowBytes];
    private readonly (int Rows, int RowBytes)[] shapes = new (int, int)[Count];

    /// <summary>Whether a configuration is loaded.</summary>
    public bool Configured { get; private set; }

    /// <summary>Bytes of a row, whatever the shape.</summary>
    public const int Stride = MaxRowBytes;

    /// <summary>LDTILECFG: sets the shapes and clears the tiles.</summary>
    public void Configure(ReadOnlySpan<byte> configuration)
    {
        Assert.Equal(ConfigurationBytes, configuration.Length);
        Assert.Equal(Palette, configuration[0]);
        Assert.True(configuration[1..16].IndexOfAnyExcept((byte)0) < 0, "start row and reserved bytes must be zero");
        Assert.True(configuration[(16 + 2 * Count)..48].IndexOfAnyExcept((byte)0) < 0, "palette 1 has eight tiles");
        Assert.True(configuration[(48 + Count)..].IndexOfAnyExcept((byte)0) < 0, "palette 1 has eight tiles");
        for (int tile = 0; tile < Count; tile++)
        {
            int rowBytes = BitConverter.ToUInt16(configuration[(16 + 2 * tile)..]), rows = configuration[48 + tile];
            Assert.InRange(rows, 1, MaxRows);
            Assert.InRange(rowBytes, 1, MaxRowBytes);
            shapes[tile] = (rows, rowBytes);
        }

        Array.Clear(data);
        Configured = true;
    }

    /// <summary>TILERELEASE.</summary>
    public void Release() => Configured = false;

    /// <summary>Rows and bytes a row of a tile.</summary>
    public (int Rows, int RowBytes) Shape(int tile)
    {
        Assert.True(Configured, "tiles are used without a configuration");
        return shapes[tile];
    }

    /// <summary>A tile's bytes, rows <see cref="Stride"/> apart.</summary>
    public Span<byte> Tile(int tile) => data.AsSpan(tile * MaxRows * MaxRowBytes, MaxRows * MaxRowBytes);
}
