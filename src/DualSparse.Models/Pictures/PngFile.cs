using System.Buffers.Binary;
using System.IO.Compression;

namespace DualSparse.Models.Pictures;

/// <summary>
/// PNG (ISO/IEC 15948), every colour type and depth, interlaced or not. Colours are taken as they stand: transparency and colour profiles aren't
/// applied, and of 16 bits the upper 8 are kept, as programs that turn a picture into RGB do. Only as many bytes are inflated as the header asks for.
/// </summary>
internal static class PngFile
{
    // Numbers of chunks and colours that the format has.
    private const int ChunkFrame = 12, HeaderBytes = 13, MostColours = 256;

    private static readonly byte[] s_signature = [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A];

    private static readonly uint[] s_crc = [.. Enumerable.Range(0, 256).Select(value =>
    {
        uint crc = (uint)value;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1) * 0xEDB88320;
        return crc;
    })];

    /// <summary>Whether a file begins as one.</summary>
    public static bool Matches(ReadOnlySpan<byte> file) => file.StartsWith(s_signature);

    /// <summary>Decodes a file.</summary>
    /// <exception cref="PictureException">It is damaged or too large.</exception>
    public static Pixels Decode(byte[] file, string name)
    {
        PngHeader? header = null;
        byte[] palette = [];
        bool ended = false;
        using var data = new MemoryStream();
        for (int at = s_signature.Length; !ended; at += ChunkFrame)
        {
            if (file.Length - at < ChunkFrame)
                throw Damaged("it ends before its last chunk");
            uint length = BinaryPrimitives.ReadUInt32BigEndian(file.AsSpan(at));
            if (length > file.Length - at - ChunkFrame)
                throw Damaged($"a chunk claims {length} bytes, {file.Length - at - ChunkFrame} are left");
            var chunk = file.AsSpan(at + 4, 4 + (int)length);
            ReadOnlySpan<byte> kind = chunk[..4], content = chunk[4..];
            bool critical = (kind[0] & 0x20) == 0;
            if (critical && BinaryPrimitives.ReadUInt32BigEndian(file.AsSpan(at + 8 + (int)length)) != Crc(chunk))
                throw Damaged("a chunk's checksum is wrong");
            at += (int)length;
            if (header is null && !kind.SequenceEqual("IHDR"u8))
                throw Damaged("its first chunk isn't IHDR");
            if (kind.SequenceEqual("IHDR"u8))
                header = header is null && length == HeaderBytes ? PngHeader.Read(content, name) : throw Damaged("its header is of another length, or there twice");
            else if (kind.SequenceEqual("PLTE"u8))
                palette = length is > 0 and <= 3 * MostColours && length % 3 == 0 ? content.ToArray() : throw Damaged($"its palette has {length} bytes");
            else if (kind.SequenceEqual("IDAT"u8))
                data.Write(content);
            else if (kind.SequenceEqual("IEND"u8))
                ended = true;
            else if (critical)
                throw Damaged("it has a chunk that isn't known and mustn't be passed over");
        }

        if (header!.IsIndexed && palette.Length == 0)
            throw Damaged("its colours stand in a palette that is missing");
        return header.Colours(Inflate(data, header.Bytes), palette, name);

        PictureException Damaged(string what) => new($"{name}: the PNG file is damaged: {what}");

        byte[] Inflate(MemoryStream packed, long bytes)
        {
            packed.Position = 0;
            byte[] rows = new byte[bytes];
            try
            {
                using var inflating = new ZLibStream(packed, CompressionMode.Decompress);
                int read = inflating.ReadAtLeast(rows, rows.Length, throwOnEndOfStream: false);
                return read == rows.Length ? rows : throw Damaged($"its data has {read} bytes, expected {bytes}");
            }
            catch (InvalidDataException e)
            {
                throw new PictureException($"{name}: the PNG file is damaged: its data can't be inflated", e);
            }
        }
    }

    private static uint Crc(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in bytes)
            crc = crc >> 8 ^ s_crc[(byte)(crc ^ value)];
        return ~crc;
    }
}
