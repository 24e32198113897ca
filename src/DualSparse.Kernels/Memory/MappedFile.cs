using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace DualSparse.Kernels.Memory;

/// <summary>
/// A file mapped read-only into memory. Spans over it are valid until <see cref="Dispose"/>; the file must not shrink meanwhile:
/// the system answers a read past a shrunken file's end with a signal that ends the process, which managed code can't catch.
/// <see cref="RequireWhole"/> before a read leaves only what happens during it. (On Windows a mapped file can't be truncated.)
/// </summary>
internal sealed unsafe partial class MappedFile : IDisposable
{
    private const int DoNotNeed = 4; // MADV_DONTNEED of madvise(2)
    private readonly SafeFileHandle handle;
    private readonly MemoryMappedFile? map;
    private readonly MemoryMappedViewAccessor? view;
    private byte* start;

    /// <summary>Maps the whole file; an empty file maps to nothing.</summary>
    /// <exception cref="IOException">The file can't be opened or mapped.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read, or is a folder.</exception>
    public MappedFile(string path)
    {
        handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        try
        {
            Length = RandomAccess.GetLength(handle);
            if (Length == 0)
                return;
            map = MemoryMappedFile.CreateFromFile(handle, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            view = map.CreateViewAccessor(0, Length, MemoryMappedFileAccess.Read);
            view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The file's length in bytes.</summary>
    public long Length { get; }

    /// <summary>The bytes [<paramref name="offset"/>, <paramref name="offset"/> + <paramref name="length"/>).</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range doesn't lie inside the file.</exception>
    /// <exception cref="ObjectDisposedException">The file has been unmapped.</exception>
    public ReadOnlySpan<byte> Span(long offset, int length)
    {
        CheckRange(offset, length);
        return length == 0 ? default : new ReadOnlySpan<byte>(start + offset, length);
    }

    /// <summary>Checks that the file hasn't shrunk since it was mapped; one system call, less than a microsecond.</summary>
    /// <exception cref="IOException">It has.</exception>
    /// <exception cref="ObjectDisposedException">The file has been unmapped.</exception>
    public void RequireWhole()
    {
        long now = RandomAccess.GetLength(handle);
        if (now < Length)
            throw new IOException($"the file has {now} bytes, it had {Length} when it was opened");
    }

    /// <summary>
    /// Lets the system take back the memory of the pages that lie whole inside the range; a later read loads them afresh from the file.
    /// Does nothing where the system has no such call.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The range doesn't lie inside the file.</exception>
    /// <exception cref="ObjectDisposedException">The file has been unmapped.</exception>
    public void Release(long offset, long length)
    {
        CheckRange(offset, length);
        if (!OperatingSystem.IsLinux())
            return;
        nuint page = (nuint)Environment.SystemPageSize;
        nuint first = ((nuint)(start + offset) + page - 1) / page * page;
        nuint end = (nuint)(start + offset + length) / page * page;
        if (end > first)
            _ = Advise((void*)first, end - first, DoNotNeed);
    }

    /// <summary>Unmaps the file.</summary>
    public void Dispose()
    {
        if (start is not null)
            view!.SafeMemoryMappedViewHandle.ReleasePointer();
        start = null;
        view?.Dispose();
        map?.Dispose();
        handle.Dispose();
    }

    private void CheckRange(long offset, long length)
    {
        ObjectDisposedException.ThrowIf(start is null && Length > 0, this);
        if (offset < 0 || length < 0 || offset > Length - length)
            throw new ArgumentOutOfRangeException(nameof(offset), $"bytes {offset} to {offset + length} don't lie inside a file of {Length}");
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* start, nuint length, int advice);
}
