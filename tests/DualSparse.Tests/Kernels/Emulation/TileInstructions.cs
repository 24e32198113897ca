using System.Runtime.InteropServices;
using Iced.Intel;

namespace DualSparse.Tests.Kernels.Emulation;

/// <summary>AMX: tiles of up to 16 rows of 64 bytes.</summary>
internal static class TileInstructions
{
    /// <summary>Executes one instruction; false where it is none of these.</summary>
    public static bool Execute(MachineState m, in Instruction i)
    {
        var tiles = m.Tiles;
        switch (i.Mnemonic)
        {
            case Mnemonic.Ldtilecfg:
                tiles.Configure(m.Memory.Read(m.Address(i), 64, i));
                return true;
            case Mnemonic.Tilerelease:
                tiles.Release();
                return true;
            case Mnemonic.Tilezero:
                _ = tiles.Shape(Number(i.Op0Register));
                tiles.Tile(Number(i.Op0Register)).Clear();
                return true;
            case Mnemonic.Tileloadd:
                Transfer(m, i, Number(i.Op0Register), store: false);
                return true;
            case Mnemonic.Tilestored:
                Transfer(m, i, Number(i.Op1Register), store: true);
                return true;
            case Mnemonic.Tdpbf16ps:
                Multiply(tiles, i, Bf16Row);
                return true;
            case Mnemonic.Tdpbsud:
                Multiply(tiles, i, QuadRow(DotProducts.UnsignedSignedQuad));
                return true;
            case Mnemonic.Tdpbssd:
                Multiply(tiles, i, QuadRow(DotProducts.SignedQuad));
                return true;
            default:
                return false;
        }
    }

    private static int Number(Register register) => register.GetNumber();

    // The index register is the distance between rows.
    private static void Transfer(MachineState m, in Instruction i, int tile, bool store)
    {
        var (rows, rowBytes) = m.Tiles.Shape(tile);
        ulong stride = m[i.MemoryIndex] * (ulong)i.MemoryIndexScale, address = m[i.MemoryBase] + i.MemoryDisplacement64;
        var data = m.Tiles.Tile(tile);
        if (!store)
            data.Clear();
        for (int row = 0; row < rows; row++, address += stride)
        {
            var cells = data.Slice(row * TileState.Stride, rowBytes);
            if (store)
                cells.CopyTo(m.Memory.Write(address, rowBytes, i));
            else
                m.Memory.Read(address, rowBytes, i).CopyTo(cells);
        }
    }

    private delegate void RowProduct(Span<uint> sums, ReadOnlySpan<uint> left, ReadOnlySpan<uint> right, int depth);

    // sums [m, n] += left [m, k] · right [k, n], where an element of left and right is 32 bits of narrow numbers.
    private static void Multiply(TileState tiles, in Instruction i, RowProduct product)
    {
        int sums = Number(i.Op0Register), left = Number(i.Op1Register), right = Number(i.Op2Register);
        if (sums == left || sums == right || left == right)
            Assert.Fail($"{i}: tiles must differ");
        var (rows, columnBytes) = tiles.Shape(sums);
        var (leftRows, leftBytes) = tiles.Shape(left);
        var (depth, rightBytes) = tiles.Shape(right);
        Assert.Equal((rows, columnBytes, leftBytes), (leftRows, rightBytes, depth * sizeof(uint)));
        for (int row = 0; row < rows; row++)
            product(Row(tiles, sums, row)[..(columnBytes / 4)], Row(tiles, left, row), Cells(tiles, right), depth);
    }

    // TDPBF16PS: even and odd products are summed apart over the depth, then together, then to what was there.
    private static void Bf16Row(Span<uint> sums, ReadOnlySpan<uint> left, ReadOnlySpan<uint> right, int depth)
    {
        for (int n = 0; n < sums.Length; n++)
        {
            float even = 0, odd = 0;
            for (int k = 0; k < depth; k++)
            {
                uint pair = right[k * (TileState.Stride / sizeof(uint)) + n];
                even = DotProducts.MultiplyAdd(DotProducts.Even(left[k]), DotProducts.Even(pair), even);
                odd = DotProducts.MultiplyAdd(DotProducts.Odd(left[k]), DotProducts.Odd(pair), odd);
            }

            float before = DotProducts.Flush(BitConverter.UInt32BitsToSingle(sums[n]));
            sums[n] = BitConverter.SingleToUInt32Bits(DotProducts.Flush(before + DotProducts.Flush(even + odd)));
        }
    }

    // TDPBSUD, TDPBSSD: bytes of the right (second) as the quad takes them, signed bytes of the left (third).
    private static RowProduct QuadRow(Func<uint, uint, uint, uint> quad) => (sums, left, right, depth) =>
    {
        for (int n = 0; n < sums.Length; n++)
        {
            for (int k = 0; k < depth; k++)
                sums[n] = quad(sums[n], right[k * (TileState.Stride / sizeof(uint)) + n], left[k]);
        }
    };

    private static Span<uint> Cells(TileState tiles, int tile) => MemoryMarshal.Cast<byte, uint>(tiles.Tile(tile));

    private static Span<uint> Row(TileState tiles, int tile, int row) =>
        MemoryMarshal.Cast<byte, uint>(tiles.Tile(tile).Slice(row * TileState.Stride, TileState.Stride));
}
