using System.Runtime.InteropServices;

namespace DualSparse.Training.Checkpoints;

/// <summary>Sees to it that names in a folder, new and changed ones, outlast a loss of power. Windows writes them through by itself.</summary>
internal static partial class FolderSync
{
    /// <summary>Writes a folder's entries through to the disk; where the file system can't, nothing happens.</summary>
    public static void Flush(string folder)
    {
        if (OperatingSystem.IsWindows())
            return;
        int descriptor = Open(folder, 0);
        if (descriptor < 0)
            return;
        _ = Sync(descriptor);
        _ = Close(descriptor);
    }

    // O_RDONLY is 0 everywhere.
    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync")]
    private static partial int Sync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
