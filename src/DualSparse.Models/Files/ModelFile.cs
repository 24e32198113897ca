namespace DualSparse.Models;

/// <summary>Reads small files whole.</summary>
internal static class ModelFile
{
    /// <summary>Whether something is there under this name. A link that leads nowhere is nothing; a folder is, to be refused by whoever reads it.</summary>
    public static bool Exists(string path)
    {
        try
        {
            return Path.Exists(path) && File.ResolveLinkTarget(path, returnFinalTarget: true) is not { Exists: false };
        }
        catch (IOException)
        {
            // Links in a circle.
            return false;
        }
    }

    /// <summary>Whether a link stands there that leads nowhere, as an interrupted download or a copied cache leaves them.</summary>
    public static bool IsDeadLink(string path) => new FileInfo(path).LinkTarget is not null && !Exists(path);

    /// <summary>The file's bytes, or null where there is no such file.</summary>
    /// <exception cref="ModelFormatException">It can't be read, is a link that leads nowhere, or is longer than <paramref name="maxBytes"/>.</exception>
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
            // Passed over, it would be as if nobody had said what it says.
            return IsDeadLink(path) ? throw new ModelFormatException($"{path}: it is {FolderKind.DeadLink}", e) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw ModelFormatException.Unreadable(path, e);
        }
    }

    /// <summary>The file's bytes.</summary>
    /// <exception cref="ModelFormatException">It is missing, can't be read, or is longer than <paramref name="maxBytes"/>.</exception>
    public static byte[] Read(string path, long maxBytes) =>
        TryRead(path, maxBytes) ?? throw new ModelFormatException($"{path}: there is no such file");
}
