using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace DualSparse.Tests.Models.Pictures;

/// <summary>Writes PNG files for tests, sound ones and others.</summary>
internal static class TestPng
{
    /// <summary>A file.</summary>
    /// <param name="width">What its header says.</param>
    /// <param name="height">What its header says.</param>
    /// <param name="depth">Bits of a sample.</param>
    /// <param name="colour">Colour type.</param>
    /// <param name="rows">Rows of bytes, the filter's first.</param>
    /// <param name="palette">Colours of a palette.</param>
    /// <param name="interlaced">Whether the rows are those of seven passes.</param>
    public static byte[] Write(uint width, uint height, byte depth, byte colour, byte[] rows, byte[]? palette = null, bool interlaced = false)
    {
        byte[] header = new byte[13];
        BinaryPrimitives.WriteUInt32BigEndian(header, width);
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(4), height);
        (header[8], header[9], header[12]) = (depth, colour, (byte)(interlaced ? 1 : 0));
        using var packed = new MemoryStream();
        using (var deflating = new ZLibStream(packed, CompressionLevel.Fastest, leaveOpen: true))
            deflating.Write(rows);
        byte[] data = packed.ToArray();
        // In two chunks, as long files have them.
        return
        [
            0x89, .. "PNG\r\n\x1a\n"u8, .. Chunk("IHDR", header), .. palette is null ? [] : Chunk("PLTE", palette), .. Chunk("tEXt", [1, 2]),
            .. Chunk("IDAT", data[..(data.Length / 2)]), .. Chunk("IDAT", data[(data.Length / 2)..]), .. Chunk("IEND", []),
        ];
    }

    /// <summary>A chunk.</summary>
    public static byte[] Chunk(string kind, byte[] content)
    {
        byte[] named = [.. Encoding.ASCII.GetBytes(kind), .. content], chunk = new byte[8 + named.Length];
        BinaryPrimitives.WriteInt32BigEndian(chunk, content.Length);
        named.CopyTo(chunk, 4);
        uint crc = uint.MaxValue;
        foreach (byte value in named)
        {
            crc ^= value;
            for (int bit = 0; bit < 8; bit++)
                crc = (crc & 1) == 0 ? crc >> 1 : crc >> 1 ^ 0xEDB88320;
        }

        BinaryPrimitives.WriteUInt32BigEndian(chunk.AsSpan(4 + named.Length), ~crc);
        return chunk;
    }
}
