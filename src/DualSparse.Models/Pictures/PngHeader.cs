using System.Buffers.Binary;

namespace DualSparse.Models.Pictures;

/// <summary>What a PNG file's header says, and from its rows of bytes to colours.</summary>
/// <param name="Width">Pixels of a line.</param>
/// <param name="Height">Lines.</param>
/// <param name="Depth">Bits of a sample.</param>
/// <param name="Colour">Colour type: 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGB with alpha.</param>
/// <param name="Interlaced">Whether the picture comes in seven passes.</param>
internal sealed record PngHeader(int Width, int Height, int Depth, int Colour, bool Interlaced)
{
    // Each pass's first column and row, and the steps to the next.
    private static readonly (int X, int Y, int AcrossX, int DownY)[] s_passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];

    /// <summary>Whether colours stand in a palette.</summary>
    public bool IsIndexed => Colour == 3;

    /// <summary>The bytes of all rows, with the filter's byte before each.</summary>
    public long Bytes => Passes.Sum(pass => pass.Rows * (1 + RowBytes(pass.Columns)));

    private int Samples => Colour switch { 2 => 3, 4 => 2, 6 => 4, _ => 1 };

    private int BitsPerPixel => Samples * Depth;

    private IEnumerable<(int X, int Y, int AcrossX, int DownY, long Columns, long Rows)> Passes =>
        from pass in Interlaced ? s_passes : [(0, 0, 1, 1)]
        let columns = (Width - pass.X + pass.AcrossX - 1) / pass.AcrossX
        let rows = (Height - pass.Y + pass.DownY - 1) / pass.DownY
        where columns > 0 && rows > 0
        select (pass.X, pass.Y, pass.AcrossX, pass.DownY, (long)columns, (long)rows);

    /// <summary>Reads the header's 13 bytes.</summary>
    /// <exception cref="PictureException">They make no sense, or the picture is too large.</exception>
    public static PngHeader Read(ReadOnlySpan<byte> bytes, string name)
    {
        uint width = BinaryPrimitives.ReadUInt32BigEndian(bytes), height = BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]);
        PictureFile.RequireSize(width, height, name);
        int depth = bytes[8], colour = bytes[9];
        bool known = colour switch { 0 => depth is 1 or 2 or 4 or 8 or 16, 3 => depth is 1 or 2 or 4 or 8, 2 or 4 or 6 => depth is 8 or 16, _ => false };
        if (!known || bytes[10] != 0 || bytes[11] != 0 || bytes[12] > 1)
            throw new PictureException($"{name}: the PNG file is damaged: its header says colour type {colour} of {depth} bits, compression {bytes[10]}, filter {bytes[11]}, interlace {bytes[12]}");
        return new PngHeader((int)width, (int)height, depth, colour, bytes[12] == 1);
    }

    /// <summary>The colours.</summary>
    /// <param name="rows"><see cref="Bytes"/> bytes, changed.</param>
    /// <param name="palette">[colours, 3].</param>
    /// <param name="name">What messages call the file.</param>
    /// <exception cref="PictureException">A filter isn't known, or a colour isn't in the palette.</exception>
    public Pixels Colours(byte[] rows, byte[] palette, string name)
    {
        byte[] rgb = new byte[3L * Width * Height];
        int at = 0;
        foreach (var (x, y, across, down, columns, lines) in Passes)
        {
            int length = (int)RowBytes(columns);
            Span<byte> before = default;
            for (int line = 0; line < lines; line++, at += 1 + length)
            {
                var row = rows.AsSpan(at + 1, length);
                if (!Unfilter(rows[at], row, before, Math.Max(1, BitsPerPixel / 8)))
                    throw new PictureException($"{name}: the PNG file is damaged: a row has the filter {rows[at]}, expected 0 to 4");
                before = row;
                for (int column = 0; column < columns; column++)
                    Write(row, column, palette, rgb.AsSpan(3 * ((y + line * down) * Width + x + column * across), 3), name);
            }
        }

        return new Pixels(Width, Height, rgb);
    }

    private void Write(ReadOnlySpan<byte> row, int column, byte[] palette, Span<byte> rgb, string name)
    {
        if (IsIndexed)
        {
            int index = 3 * Bits(row, column);
            if (index >= palette.Length)
                throw new PictureException($"{name}: the PNG file is damaged: it has colour {index / 3}, and a palette of {palette.Length / 3}");
            palette.AsSpan(index, 3).CopyTo(rgb);
        }
        else if (Depth < 8)
        {
            rgb.Fill((byte)(Bits(row, column) * 255 / ((1 << Depth) - 1)));
        }
        else
        {
            int bytes = Depth / 8, first = column * Samples * bytes;
            if (Samples < 3)
                rgb.Fill(row[first]);
            else
                (rgb[0], rgb[1], rgb[2]) = (row[first], row[first + bytes], row[first + 2 * bytes]);
        }
    }

    // A sample of at most 8 bits; the first is in the upper bits.
    private int Bits(ReadOnlySpan<byte> row, int column)
    {
        int bit = column * Depth;
        return row[bit / 8] >> 8 - Depth - bit % 8 & (1 << Depth) - 1;
    }

    private long RowBytes(long columns) => (columns * BitsPerPixel + 7) / 8;

    // Adds what the filter predicts from the bytes to the left, above, and above left.
    private static bool Unfilter(byte filter, Span<byte> row, ReadOnlySpan<byte> above, int step)
    {
        if (filter > 4)
            return false;
        for (int i = 0; i < row.Length && filter > 0; i++)
        {
            int left = i < step ? 0 : row[i - step], up = above.IsEmpty ? 0 : above[i], corner = above.IsEmpty || i < step ? 0 : above[i - step];
            row[i] += (byte)(filter switch { 1 => left, 2 => up, 3 => (left + up) / 2, _ => Paeth(left, up, corner) });
        }

        return true;
    }

    // Whichever of the three is nearest to left + up − corner.
    private static int Paeth(int left, int up, int corner)
    {
        int toLeft = Math.Abs(up - corner), toUp = Math.Abs(left - corner), toCorner = Math.Abs(left + up - 2 * corner);
        return toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner;
    }
}
