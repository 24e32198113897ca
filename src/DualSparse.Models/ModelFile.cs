namespace DualSparse.Models;

/// <summary>Reads the small files of a model folder whole.</summary>
internal static class ModelFile
{
    /// <summary>The file's bytes, or null where there is no such file.</summary>
    /// <exception cref="ModelFormatException">It can't be read, or is longer than <paramref name="maxBytes"/>.</exception>
    public static byte[]? TryRead(string path, long maxBytes)
    {
        try
        {
            var info = new FileInfo(path);
            if (!info.Exists)
                return null;
            using var stream = info.OpenRead();
            if (stream.Length > maxBytes)
                throw new ModelFormatException($"{path}: {stream.Length} bytes, expected at most {maxBytes}");
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelFormatException($"{path}: it can't be read ({e.Message})", e);
        }
    }

    /// <summary>The file's bytes.</summary>
    /// <exception cref="ModelFormatException">It is missing, can't be read, or is longer than <paramref name="maxBytes"/>.</exception>
    public static byte[] Read(string path, long maxBytes) =>
        TryRead(path, maxBytes) ?? throw new ModelFormatException($"{path}: there is no such file");
}
