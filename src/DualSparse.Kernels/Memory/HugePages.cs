using System.Runtime.InteropServices;

namespace DualSparse.Kernels.Memory;

/// <summary>
/// Large blocks mapped directly from Linux: aligned to a huge page, advised to use huge pages, and returned to the system when freed, where
/// an allocator may keep them.
/// </summary>
internal static unsafe partial class HugePages
{
    /// <summary>
    /// Bytes of a huge page. Blocks from this size on use them: weights are streamed, and 4 KiB pages would cost a table walk each.
    /// </summary>
    public const nuint Bytes = 2 << 20;

    // Names and values of sys/mman.h.
    private const int ReadWrite = 3, PrivateAnonymous = 0x22, AdviseHugePages = 14;
    private const nint Failed = -1;

    /// <summary>A zeroed block of at least <paramref name="bytes"/> bytes; null if the system has none.</summary>
    public static byte* Allocate(nuint bytes)
    {
        nuint size = RoundUp(bytes);
        nint found = Map(null, size + Bytes, ReadWrite, PrivateAnonymous, -1, 0);
        if (found == Failed)
            return null;
        // Unmaps what lies before the first boundary and after the block.
        byte* start = (byte*)RoundUp((nuint)found);
        nuint before = (nuint)(start - (byte*)found);
        if (before > 0)
            _ = Unmap((byte*)found, before);
        _ = Unmap(start + size, Bytes - before);
        _ = Advise(start, size, AdviseHugePages);
        return start;
    }

    /// <summary>Frees a block of <see cref="Allocate"/>.</summary>
    public static void Free(byte* block, nuint bytes) => _ = Unmap(block, RoundUp(bytes));

    private static nuint RoundUp(nuint value) => (value + Bytes - 1) / Bytes * Bytes;

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial nint Map(void* address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(void* address, nuint length);

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* start, nuint length, int advice);
}
