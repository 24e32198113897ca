namespace DualSparse.Models;

/// <summary>What stands in a file's place where something went wrong on its way here, by its first bytes.</summary>
internal static class ForeignFile
{
    // A pointer has three short lines. A text that only begins like one is longer, or is no pointer.
    private const int MaxPointerBytes = 1024;

    private static readonly (byte[] Start, string What)[] s_formats =
    [
        ("GGUF"u8.ToArray(), "it is a GGUF file, which isn't read: take the model's folder of safetensors"),
        ("PK\x03\x04"u8.ToArray(), "it is a zip archive, such as PyTorch writes: give weights as safetensors, JSON as text"),
        ([0x1F, 0x8B], "it is compressed with gzip: unpack it first"),
        ([0xFD, (byte)'7', (byte)'z', (byte)'X', (byte)'Z'], "it is compressed with xz: unpack it first"),
        ([0x28, 0xB5, 0x2F, 0xFD], "it is compressed with Zstandard: unpack it first"),
        ("BZh"u8.ToArray(), "it is compressed with bzip2: unpack it first"),
        ([0x89, (byte)'H', (byte)'D', (byte)'F'], "it is an HDF5 file, such as Keras writes: give weights as safetensors, JSON as text"),
        ([0x80, 2, (byte)'}'], "it is a pickle, such as PyTorch writes: give weights as safetensors, JSON as text"),
        ([0, 0, 0, 0, 0, 0, 0, 0], "it begins with zero bytes, as a download that stopped leaves them: fetch it again"),
    ];

    /// <summary>What a file that should be JSON or safetensors is instead, as the rest of a sentence; null: nothing that is known.</summary>
    public static string? Find(ReadOnlySpan<byte> file)
    {
        if (Pointer(file) is { } pointer)
            return pointer;
        foreach (var (start, what) in s_formats)
        {
            if (file.StartsWith(start))
                return what;
        }

        var text = file.TrimStart(" \t\r\n"u8);
        return text.StartsWith("<"u8) ? $"it is a page or an error message (it begins with '{Beginning(text)}'), saved in the file's place: fetch the file again" : null;
    }

    /// <summary>The same, of Git LFS pointers alone: a text may be anything else.</summary>
    public static string? Pointer(ReadOnlySpan<byte> file) =>
        file.Length > MaxPointerBytes ? null
            : file.StartsWith("version https://git-lfs.github.com/spec/"u8) ? "it is a Git LFS pointer, not the file itself: fetch it with 'git lfs pull'"
            : file.StartsWith("# xet version "u8) ? "it is a Xet pointer, not the file itself: fetch it with 'git xet checkout', or download it"
            : null;

    /// <summary>The first characters of a file's first line, for messages.</summary>
    public static string Beginning(ReadOnlySpan<byte> text)
    {
        const int most = 24;
        int end = text.IndexOfAny((byte)'\r', (byte)'\n');
        string line = System.Text.Encoding.UTF8.GetString(text[..Math.Min(end < 0 ? text.Length : end, most)]).TrimEnd('\uFFFD');
        return string.Concat(line.Select(c => char.IsControl(c) ? $"\\u{(int)c:x4}" : c.ToString()));
    }
}
