using System.Buffers.Binary;

namespace DualSparse.Kernels.Gemm.Amx;

/// <summary>The 64 bytes that LDTILECFG reads: palette, start row, then bytes a row (16 bits) and rows (8 bits) of each tile.</summary>
internal static class TileConfiguration
{
    /// <summary>Bytes of one configuration.</summary>
    public const int Bytes = 64;

    /// <summary>Rows of a full tile.</summary>
    public const int Rows = 16;

    /// <summary>Bytes of a row of a full tile.</summary>
    public const int RowBytes = 64;

    // Palette 1: eight tiles of 16 rows of 64 bytes. The offsets are the format's.
    private const byte Palette = 1;
    private const int Tiles = 8, RowBytesOffset = 16, RowsOffset = 48;

    /// <summary>Sixteen configurations, that for n rows of activations at index n − 1: tiles of weights have all 16 rows, the others n.</summary>
    /// <param name="isWeights">Which tiles hold weights.</param>
    public static byte[] ForEachRowCount(Func<int, bool> isWeights)
    {
        byte[] table = new byte[Rows * Bytes];
        for (int rows = 1; rows <= Rows; rows++)
        {
            var one = table.AsSpan((rows - 1) * Bytes, Bytes);
            one[0] = Palette;
            for (int tile = 0; tile < Tiles; tile++)
            {
                BinaryPrimitives.WriteUInt16LittleEndian(one[(RowBytesOffset + 2 * tile)..], RowBytes);
                one[RowsOffset + tile] = (byte)(isWeights(tile) ? Rows : rows);
            }
        }

        return table;
    }
}
