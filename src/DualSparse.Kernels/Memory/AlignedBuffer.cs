using System.Runtime.InteropServices;

namespace DualSparse.Kernels.Memory;

/// <summary>A block of native memory, freed on <see cref="Dispose"/> (or, forgotten, by the finalizer). Its contents start undefined.</summary>
public sealed unsafe partial class AlignedBuffer : IDisposable
{
    // From this size on a block is worth huge pages: weights are streamed, and 4 KiB pages would cost a table walk each.
    private const nuint HugePage = 2 << 20;
    private const int AdviseHugePages = 14;
    private byte* pointer;

    /// <summary>Allocates <paramref name="bytes"/> bytes, aligned to 64 (a cache line), or to 2 MiB for large blocks.</summary>
    /// <exception cref="OutOfMemoryException">The system gives no more memory.</exception>
    public AlignedBuffer(nuint bytes)
    {
        Bytes = bytes;
        nuint alignment = bytes >= HugePage ? HugePage : 64;
        nuint rounded = (Math.Max(bytes, 1) + alignment - 1) / alignment * alignment;
        pointer = (byte*)NativeMemory.AlignedAlloc(rounded, alignment);
        if (alignment == HugePage && OperatingSystem.IsLinux())
            _ = Advise(pointer, rounded, AdviseHugePages);
        GC.AddMemoryPressure((long)Math.Max(bytes, 1));
    }

    /// <summary>Frees a forgotten block.</summary>
    ~AlignedBuffer() => Free();

    /// <summary>The size asked for, in bytes.</summary>
    public nuint Bytes { get; }

    /// <summary>The first byte.</summary>
    /// <exception cref="ObjectDisposedException">The block has been freed.</exception>
    public byte* Pointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(pointer is null, this);
            return pointer;
        }
    }

    /// <summary>The block as elements of <typeparamref name="T"/>.</summary>
    /// <exception cref="OverflowException">It holds more than 2³¹ − 1 of them.</exception>
    public Span<T> AsSpan<T>() where T : unmanaged => new(Pointer, checked((int)(Bytes / (nuint)sizeof(T))));

    /// <summary>Frees the block.</summary>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        if (pointer is null)
            return;
        NativeMemory.AlignedFree(pointer);
        pointer = null;
        GC.RemoveMemoryPressure((long)Math.Max(Bytes, 1));
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* start, nuint length, int advice);
}
