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
            using var stream = File.OpenRead(path);
            if (stream.Length > maxBytes)
                throw new ModelFormatException($"{path}: {stream.Length} bytes, expected at most {maxBytes}");
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw ModelFormatException.Unreadable(path, e);
        }
    }

    /// <summary>The file's bytes.</summary>
    /// <exception cref="ModelFormatException">It is missing, can't be read, or is longer than <paramref name="maxBytes"/>.</exception>
    public static byte[] Read(string path, long maxBytes) =>
        TryRead(path, maxBytes) ?? throw new ModelFormatException($"{path}: there is no such file{Instead(path)}");

    // What a folder of another kind tends to have.
    private static string Instead(string path)
    {
        try
        {
            return Path.GetDirectoryName(path) is { Length: > 0 } folder && Directory.EnumerateFiles(folder, "*.gguf").Any()
                ? "; GGUF files aren't read: take the model's folder of safetensors" : "";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
