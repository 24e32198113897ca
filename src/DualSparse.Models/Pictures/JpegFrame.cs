using System.Buffers.Binary;

namespace DualSparse.Models.Pictures;

/// <summary>What a JPEG file's frame says, found by walking over its segments before anything is decoded.</summary>
/// <param name="Width">Pixels of a line.</param>
/// <param name="Height">Lines.</param>
/// <param name="Down">[colours] by how much each is coarser than the picture, across and down: 1, 2 or 4.</param>
/// <param name="IsRgb">Whether colours are red, green and blue, and not brightness and two differences.</param>
internal sealed record JpegFrame(int Width, int Height, IReadOnlyList<(int Across, int Down)> Down, bool IsRgb)
{
    // What the markers are called in ITU-T T.81.
    private const int Progressive = 0xC2, HuffmanTables = 0xC4, StartOfScan = 0xDA, EndOfImage = 0xD9, Adobe = 0xEE;

    // Encoders write some ten; each goes over the whole picture.
    private const int MostScans = 100;

    /// <summary>More bytes than a decoder needs at a time: two for each sample, in whole blocks.</summary>
    public long MostBytes => 3L * sizeof(short) * (Width + 64L) * (Height + 64L) + 4096;

    /// <summary>Reads a file's.</summary>
    /// <exception cref="PictureException">There is none or several, the picture is too large, or it is of a kind that isn't read.</exception>
    public static JpegFrame Read(ReadOnlySpan<byte> file, string name)
    {
        JpegFrame? frame = null;
        int transform = -1, scans = 0;
        bool progressive = false;
        for (int at = 2; at < file.Length - 1;)
        {
            // Between segments there may be filling; behind a scan's beginning is its data, in which FF stands before 00 or a restart only.
            int marker = file[at] == 0xFF ? file[at + 1] : 0;
            if (marker is 0 or 0xFF or 1 or (>= 0xD0 and <= 0xD8))
            {
                at += marker is 0 or 0xFF ? 1 : 2;
                continue;
            }

            if (marker == EndOfImage)
                break;
            int length = at + 4 <= file.Length ? BinaryPrimitives.ReadUInt16BigEndian(file[(at + 2)..]) : 0;
            if (length < 2 || length > file.Length - at - 2)
                throw Damaged("it ends inside a segment");
            var content = file.Slice(at + 4, length - 2);
            if (marker is >= 0xC0 and <= 0xCF and not (0xC4 or 0xC8 or 0xCC))
                (frame, progressive) = frame is null ? (Frame(marker, content, name), marker == Progressive) : throw Damaged("it has several frames");
            else if (marker == HuffmanTables && !JpegTables.AreSound(content))
                throw Damaged("its Huffman tables make no sense");
            else if (marker == Adobe && content.StartsWith("Adobe"u8) && content.Length >= 12)
                transform = content[11];
            else if (marker == StartOfScan)
                Scan(content);
            at += 2 + length;
        }

        if (frame is null || scans == 0)
            throw Damaged("it has no frame or no scan");
        return transform == 0 ? frame with { IsRgb = true } : frame;

        void Scan(ReadOnlySpan<byte> content)
        {
            if (frame is null || content.IsEmpty)
                throw Damaged("a scan comes before its frame");
            if (++scans > MostScans)
                throw Damaged($"it has more than {MostScans} scans");
            if (!progressive && content[0] != frame.Down.Count)
                throw new PictureException($"{name}: the JPEG file has its colours one after another, which isn't read, expected them together: save it again");
        }

        PictureException Damaged(string what) => new($"{name}: the JPEG file is damaged: {what}");
    }

    private static JpegFrame Frame(int marker, ReadOnlySpan<byte> content, string name)
    {
        if (marker is not (0xC0 or 0xC1 or Progressive))
            throw new PictureException($"{name}: the JPEG file is coded in a way that isn't read (SOF{marker - 0xC0}), expected baseline or progressive");
        if (content.Length < 6 || content.Length < 6 + 3 * content[5])
            throw new PictureException($"{name}: the JPEG file is damaged: its frame is too short");
        int height = BinaryPrimitives.ReadUInt16BigEndian(content[1..]), width = BinaryPrimitives.ReadUInt16BigEndian(content[3..]), colours = content[5];
        PictureFile.RequireSize(width, height, name);
        if (content[0] != 8 || colours is not (1 or 3))
            throw new PictureException($"{name}: the JPEG file has {colours} colours of {content[0]} bits, expected 1 or 3 of 8: save it as RGB");
        var sampling = new (int Across, int Down)[colours];
        byte[] ids = new byte[colours];
        for (int c = 0; c < colours; c++)
            (ids[c], sampling[c]) = (content[6 + 3 * c], (content[7 + 3 * c] >> 4, content[7 + 3 * c] & 15));
        int across = sampling.Max(s => s.Across), down = sampling.Max(s => s.Down);
        if (colours == 1 && across * down != 1 || sampling.Any(s => s.Across is not (1 or 2 or 4) || s.Down is not (1 or 2 or 4)))
            throw new PictureException($"{name}: the JPEG file samples its colours {string.Join(", ", sampling.Select(s => $"{s.Across}×{s.Down}"))}, expected 1, 2 or 4 each way");
        return new JpegFrame(width, height, [.. sampling.Select(s => (across / s.Across, down / s.Down))], ids.AsSpan().SequenceEqual("RGB"u8));
    }
}
