using System.Runtime.InteropServices;

namespace DualSparse.Kernels.Memory;

/// <summary>
/// Large blocks straight from Linux: aligned to a huge page and asked to be made of them, and given back to the system when freed,
/// where an allocator may keep them for later.
/// </summary>
internal static unsafe partial class HugePages
{
    /// <summary>Bytes of one. From this size on a block is worth them: weights are streamed, and 4 KiB pages would cost a table walk each.</summary>
    public const nuint Bytes = 2 << 20;

    // Names and values of sys/mman.h.
    private const int ReadWrite = 3, PrivateAnonymous = 0x22, AdviseHugePages = 14;
    private const nint Failed = -1;

    /// <summary>A block of at least so many bytes, all zero; null if the system gives none.</summary>
    public static byte* Allocate(nuint bytes)
    {
        nuint size = RoundUp(bytes);
        nint found = Map(null, size + Bytes, ReadWrite, PrivateAnonymous, -1, 0);
        if (found == Failed)
            return null;
        // What lies before the first boundary and behind the block goes back at once.
        byte* start = (byte*)RoundUp((nuint)found);
        nuint before = (nuint)(start - (byte*)found);
        if (before > 0)
            _ = Unmap((byte*)found, before);
        _ = Unmap(start + size, Bytes - before);
        _ = Advise(start, size, AdviseHugePages);
        return start;
    }

    /// <summary>Gives a block of <see cref="Allocate"/> back.</summary>
    public static void Free(byte* block, nuint bytes) => _ = Unmap(block, RoundUp(bytes));

    private static nuint RoundUp(nuint value) => (value + Bytes - 1) / Bytes * Bytes;

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial nint Map(void* address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(void* address, nuint length);

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* start, nuint length, int advice);
}
