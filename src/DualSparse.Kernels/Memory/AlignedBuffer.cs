using System.Runtime.InteropServices;

namespace DualSparse.Kernels.Memory;

/// <summary>A block of native memory, freed on <see cref="Dispose"/> (or by the finalizer). Its contents start undefined.</summary>
internal sealed unsafe class AlignedBuffer : IDisposable
{
    // A cache line, and a vector of 512 bits.
    private const nuint Alignment = 64;
    private readonly bool huge;
    private byte* pointer;

    /// <summary>Allocates <paramref name="bytes"/> bytes, aligned to 64, or, on Linux, in huge pages where they fill one.</summary>
    /// <exception cref="OutOfMemoryException">The system has no more memory.</exception>
    public AlignedBuffer(nuint bytes)
    {
        Bytes = bytes;
        huge = bytes >= HugePages.Bytes && OperatingSystem.IsLinux();
        pointer = huge ? HugePages.Allocate(bytes) : (byte*)NativeMemory.AlignedAlloc((Math.Max(bytes, 1) + Alignment - 1) / Alignment * Alignment, Alignment);
        if (pointer is null)
            throw new OutOfMemoryException($"the system can't allocate {bytes:N0} bytes");
        GC.AddMemoryPressure((long)Math.Max(bytes, 1));
    }

    /// <summary>Frees a block that wasn't disposed.</summary>
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
        if (huge)
            HugePages.Free(pointer, Bytes);
        else
            NativeMemory.AlignedFree(pointer);
        pointer = null;
        GC.RemoveMemoryPressure((long)Math.Max(Bytes, 1));
    }
}
