using System.Runtime.InteropServices;

namespace DualSparse.Kernels;

/// <summary>
/// Room for the signals of a thread that uses AMX. Once it has, Linux puts eight KiB of tiles into every signal's frame; the stack that
/// .NET gives a thread for signals has 12 KiB, and the handler that makes a NullReferenceException of a fault would run off its end: the
/// process would die of it.
/// </summary>
internal static unsafe partial class SignalStack
{
    /// <summary>Bytes of the larger stack: a frame with tiles takes 11 KiB, the handler 4.</summary>
    public const nuint Bytes = 64 << 10;

    // Of sys/mman.h and signal.h.
    private const int NoAccess = 0, ReadWrite = 3, PrivateAnonymous = 0x22, Active = 1, Disabled = 2;
    private const nint Failed = -1;

    [ThreadStatic]
    private static bool seen;

    /// <summary>Sees to it that the calling thread has a large one; costs a look from the second time on.</summary>
    public static void Ensure()
    {
        if (seen)
            return;
        seen = true;
        // A thread without a stack of its own for signals takes them on its ordinary one.
        if (OperatingSystem.IsLinux() && Exchange(null, out var present) == 0 && (present.Flags & (Active | Disabled)) == 0 && present.Size < Bytes)
            Enlarge();
    }

    /// <summary>Bytes of the calling thread's; 0: it has none.</summary>
    internal static nuint Size() => Exchange(null, out var present) == 0 && (present.Flags & Disabled) == 0 ? present.Size : 0;

    // The runtime unmaps whatever it finds when the thread ends. Its own smaller one is then left over: it might be another's.
    private static void Enlarge()
    {
        nint block = Map(null, Bytes, ReadWrite, PrivateAnonymous, -1, 0);
        if (block == Failed)
            return;
        // Whoever runs off this end too is to fault, not to write elsewhere.
        _ = Protect((void*)block, (nuint)Environment.SystemPageSize, NoAccess);
        var large = new Stack { Pointer = (void*)block, Size = Bytes };
        if (Exchange(&large, out _) != 0)
            _ = Unmap((void*)block, Bytes);
    }

    // stack_t
    private struct Stack
    {
        public void* Pointer;
        public int Flags;
        public nuint Size;
    }

    [LibraryImport("libc", EntryPoint = "sigaltstack")]
    private static partial int Exchange(Stack* next, out Stack present);

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial nint Map(void* address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect")]
    private static partial int Protect(void* start, nuint length, int protection);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(void* start, nuint length);
}
