namespace DualSparse.Models;

/// <summary>The names in a folder, listed once.</summary>
internal sealed class FolderContents
{
    /// <summary>Lists a folder.</summary>
    /// <exception cref="ModelFormatException">It can't be listed.</exception>
    public FolderContents(string path)
    {
        Path = path;
        try
        {
            Files = [.. Directory.EnumerateFiles(path).Select(file => System.IO.Path.GetFileName(file)).Order(StringComparer.Ordinal)];
            Folders = [.. Directory.EnumerateDirectories(path).Select(folder => System.IO.Path.GetFileName(folder)).Order(StringComparer.Ordinal)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelFormatException($"{path}: the folder can't be listed ({e.Message.TrimEnd('.')})", e);
        }
    }

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>Names of files, links that lead nowhere included.</summary>
    public IReadOnlyList<string> Files { get; }

    /// <summary>Names of folders.</summary>
    public IReadOnlyList<string> Folders { get; }

    /// <summary>Whether there is a file of this name that leads somewhere.</summary>
    public bool Has(string file) => ModelFile.Exists(In(file));

    /// <summary>The first file that fits one of the patterns, such as <c>*.gguf</c>; null: none.</summary>
    public string? First(params ReadOnlySpan<string> patterns)
    {
        foreach (string pattern in patterns)
        {
            if (Files.FirstOrDefault(file => Fits(file, pattern)) is { } found)
                return found;
        }

        return null;
    }

    /// <summary>The first folder inside that fits one of the patterns; null: none.</summary>
    public string? FirstFolder(params ReadOnlySpan<string> patterns)
    {
        foreach (string pattern in patterns)
        {
            if (Folders.FirstOrDefault(folder => Fits(folder, pattern)) is { } found)
                return found;
        }

        return null;
    }

    /// <summary>A name's path.</summary>
    public string In(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>The folders inside that have a file of this name.</summary>
    public IReadOnlyList<string> FoldersWith(string file) => [.. Folders.Where(folder => ModelFile.Exists(System.IO.Path.Combine(Path, folder, file)))];

    private static bool Fits(string name, string pattern) => System.IO.Enumeration.FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: true);
}
