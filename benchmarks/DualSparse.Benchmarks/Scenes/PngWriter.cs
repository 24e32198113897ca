using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using DualSparse.Models.Pictures;

namespace DualSparse.Benchmarks.Scenes;

/// <summary>Writes PNG (ISO/IEC 15948): RGB of 8 bits, rows as they stand.</summary>
internal static class PngWriter
{
    private static readonly byte[] s_signature = [0x89, .. "PNG\r\n"u8, 0x1A, (byte)'\n'];

    private static readonly uint[] s_crc = [.. Enumerable.Range(0, 256).Select(value =>
    {
        uint crc = (uint)value;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1) * 0xEDB88320;
        return crc;
    })];

    /// <summary>A picture's file.</summary>
    public static byte[] Write(Pixels picture)
    {
        byte[] header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, picture.Width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), picture.Height);
        // 8 bits a sample, colour type 2: RGB.
        (header[8], header[9]) = (8, 2);
        int row = 3 * picture.Width;
        byte[] rows = new byte[picture.Height * (1 + row)];
        for (int y = 0; y < picture.Height; y++)
            picture.Rgb.AsSpan(y * row, row).CopyTo(rows.AsSpan(y * (1 + row) + 1));
        return [.. s_signature, .. Chunk("IHDR", header), .. Chunk("IDAT", Deflate(rows)), .. Chunk("IEND", [])];
    }

    /// <summary>A picture as a data: URI.</summary>
    public static string DataUri(Pixels picture) => "data:image/png;base64," + Convert.ToBase64String(Write(picture));

    /// <summary>Bytes as a zlib stream.</summary>
    public static byte[] Deflate(byte[] bytes)
    {
        using var packed = new MemoryStream();
        using (var deflating = new ZLibStream(packed, CompressionLevel.Optimal, leaveOpen: true))
            deflating.Write(bytes);
        return packed.ToArray();
    }

    /// <summary>A chunk: its length, kind, content and checksum.</summary>
    public static byte[] Chunk(string kind, ReadOnlySpan<byte> content)
    {
        byte[] chunk = new byte[12 + content.Length];
        BinaryPrimitives.WriteInt32BigEndian(chunk, content.Length);
        Encoding.ASCII.GetBytes(kind, chunk.AsSpan(4));
        content.CopyTo(chunk.AsSpan(8));
        uint crc = uint.MaxValue;
        foreach (byte value in chunk.AsSpan(4, 4 + content.Length))
            crc = crc >> 8 ^ s_crc[(byte)(crc ^ value)];
        BinaryPrimitives.WriteUInt32BigEndian(chunk.AsSpan(8 + content.Length), ~crc);
        return chunk;
    }
}
