using System.Buffers.Binary;
using DualSparse.Kernels.Jit;
using static DualSparse.Kernels.Gemm.Amx.TileRegisters;
using static Iced.Intel.AssemblerRegisters;

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

    /// <summary>
    /// Emits the setup of the tiles for the number of rows in the argument; clobbers rbx, rdx and rax. Tiles are set up and released
    /// in each call, about 200 cycles against thousands of work: so no thread ever carries tile state through managed code, where the
    /// system would save eight KiB at each switch, and there is nothing to clean up when a thread ends.
    /// </summary>
    /// <param name="c">The assembler.</param>
    /// <param name="depthBytes">Bytes of a row of activations in a tile product.</param>
    public static void Load(FunctionAssembler c, int depthBytes = RowBytes)
    {
        var table = c.Constant(ForEachRowCount(depthBytes));
        c.mov(RowsLeft, FunctionAssembler.Field(nameof(PanelArgs.RowCount)));
        c.mov(eax, Rows);
        c.cmp(RowsLeft, rax);
        c.cmovb(rax, RowsLeft);
        c.shl(rax, (byte)int.Log2(Bytes));
        c.lea(rbx, __[table]);
        c.ldtilecfg(__[rbx + rax - Bytes]);
    }

    /// <summary>
    /// Sixteen configurations, that for n rows of activations at index n − 1. Tiles of rows are n × <paramref name="depthBytes"/>, tiles of
    /// sums n × 64; tiles of weights have 64 bytes for each four of the depth.
    /// </summary>
    public static byte[] ForEachRowCount(int depthBytes = RowBytes)
    {
        byte[] table = new byte[Rows * Bytes];
        for (int rows = 1; rows <= Rows; rows++)
        {
            var one = table.AsSpan((rows - 1) * Bytes, Bytes);
            one[0] = Palette;
            for (int tile = 0; tile < Tiles; tile++)
            {
                BinaryPrimitives.WriteUInt16LittleEndian(one[(RowBytesOffset + 2 * tile)..], (ushort)(IsRows(tile) ? depthBytes : RowBytes));
                one[RowsOffset + tile] = (byte)(IsWeights(tile) ? depthBytes / sizeof(float) : rows);
            }
        }

        return table;
    }
}
