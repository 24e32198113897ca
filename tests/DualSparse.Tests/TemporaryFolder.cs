namespace DualSparse.Tests;

/// <summary>A folder that is gone when the test is.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("dualsparse-").FullName;

    public string File(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>Copies a golden folder's files here, or those of a folder given by its whole path.</summary>
    public static TemporaryFolder CopyOf(string family)
    {
        var folder = new TemporaryFolder();
        foreach (string file in Directory.EnumerateFiles(TestPaths.Golden(family)))
            System.IO.File.Copy(file, folder.File(System.IO.Path.GetFileName(file)));
        return folder;
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
