namespace DualSparse.Cli.Hosting;

/// <summary>Files that a long run writes at its end.</summary>
internal static class OutputFile
{
    /// <summary>Sees to it beforehand that there is a folder for the file; null: none is wanted.</summary>
    /// <exception cref="ArgumentException">There isn't, or the file is a folder; the message names the option.</exception>
    public static void Check(string option, string? path)
    {
        if (path is not null && (Directory.Exists(path) || !Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path)))))
            throw new ArgumentException($"{option} is {path}, expected a file in a folder that exists");
    }
}
