using System.Buffers;
using System.Text;
using System.Text.Unicode;

namespace DualSparse.Models;

/// <summary>THE entrance of everything that is read as text: UTF-8 with or without its mark, and nothing else.</summary>
internal static class Utf8Text
{
    private static readonly (byte[] Mark, string Encoding)[] s_others =
    [
        // UTF-32 before UTF-16, whose mark one of its marks begins with.
        ([0xFF, 0xFE, 0, 0], "UTF-32"), ([0, 0, 0xFE, 0xFF], "UTF-32"), ([0xFF, 0xFE], "UTF-16"), ([0xFE, 0xFF], "UTF-16"),
    ];

    /// <summary>The text's bytes, without the byte order mark that some files begin with.</summary>
    /// <param name="bytes">The file.</param>
    /// <param name="name">What messages call it.</param>
    /// <exception cref="ModelFormatException">It is in another encoding, not valid UTF-8, or a Git LFS pointer.</exception>
    public static ReadOnlySpan<byte> Check(ReadOnlySpan<byte> bytes, string name)
    {
        if (OtherEncoding(bytes) is { } encoding)
            throw new ModelFormatException($"{name}: it is {encoding}; save it as UTF-8");
        if (ForeignFile.Pointer(bytes) is { } pointer)
            throw new ModelFormatException($"{name}: {pointer}");
        RequireValid(bytes, name);
        return bytes.StartsWith("\uFEFF"u8) ? bytes[3..] : bytes;
    }

    /// <summary>Refuses bytes that are no UTF-8.</summary>
    /// <param name="bytes">A file, or a part of one.</param>
    /// <param name="name">What messages call the file.</param>
    /// <param name="start">Where in the file the part begins.</param>
    /// <exception cref="ModelFormatException">They aren't; the message names the first wrong byte.</exception>
    public static void RequireValid(ReadOnlySpan<byte> bytes, string name, long start = 0)
    {
        if (Utf8.IsValid(bytes))
            return;
        int offset = 0;
        while (Rune.DecodeFromUtf8(bytes[offset..], out _, out int length) == OperationStatus.Done)
            offset += length;
        throw new ModelFormatException($"{name}: the byte 0x{bytes[offset]:x2} at offset {start + offset} begins no character, so it is not valid UTF-8; save it as UTF-8");
    }

    private static string? OtherEncoding(ReadOnlySpan<byte> bytes)
    {
        foreach (var (mark, encoding) in s_others)
        {
            if (bytes.StartsWith(mark))
                return encoding;
        }

        // Without a mark: of two ASCII characters one byte in two is zero.
        return bytes is [0, not 0, 0, not 0, ..] or [not 0, 0, not 0, 0, ..] ? "UTF-16" : null;
    }
}
