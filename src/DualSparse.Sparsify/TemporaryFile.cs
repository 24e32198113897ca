namespace DualSparse.Sparsify;

/// <summary>A file in a folder of its own among the system's temporary ones, gone when it is disposed.</summary>
internal sealed class TemporaryFile : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("dualsparse-");

    /// <summary>Writes it.</summary>
    /// <exception cref="IOException">Writing failed.</exception>
    public TemporaryFile(string name, byte[] bytes) => File.WriteAllBytes(Path = System.IO.Path.Combine(folder.FullName, name), bytes);

    /// <summary>Its path.</summary>
    public string Path { get; }

    /// <summary>Removes it.</summary>
    public void Dispose() => folder.Delete(recursive: true);
}
