using System.Buffers.Binary;
using DualSparse.Benchmarks.Scenes;

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
        byte[] data = PngWriter.Deflate(rows);
        // In two chunks, as long files have them.
        return
        [
            0x89, .. "PNG\r\n\x1a\n"u8, .. PngWriter.Chunk("IHDR", header), .. palette is null ? [] : PngWriter.Chunk("PLTE", palette), .. PngWriter.Chunk("tEXt", [1, 2]),
            .. PngWriter.Chunk("IDAT", data.AsSpan(0, data.Length / 2)), .. PngWriter.Chunk("IDAT", data.AsSpan(data.Length / 2)), .. PngWriter.Chunk("IEND", []),
        ];
    }
}
