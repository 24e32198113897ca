using System.Runtime.InteropServices;

namespace DualSparse.Kernels;

/// <summary>
/// Enlarges the signal stack of a thread that uses AMX. Once it has, Linux stores eight KiB of tiles in every signal's frame; the signal
/// stack that .NET gives a thread has 12 KiB, and the handler that turns a fault into a NullReferenceException would overflow it and end
/// the process.
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

    /// <summary>Makes sure that the calling thread has a large signal stack; from the second call on this costs one check.</summary>
    public static void Ensure()
    {
        if (seen)
            return;
        seen = true;
        // A thread without a signal stack handles signals on its ordinary stack.
        if (OperatingSystem.IsLinux() && Exchange(null, out var present) == 0 && (present.Flags & (Active | Disabled)) == 0 && present.Size < Bytes)
            Enlarge();
    }

    /// <summary>Bytes of the calling thread's signal stack; 0: it has none.</summary>
    internal static nuint Size() => Exchange(null, out var present) == 0 && (present.Flags & Disabled) == 0 ? present.Size : 0;

    // The runtime unmaps the stack it finds when the thread ends. Its smaller one then leaks, since it may belong to another owner.
    private static void Enlarge()
    {
        nint block = Map(null, Bytes, ReadWrite, PrivateAnonymous, -1, 0);
        if (block == Failed)
            return;
        // A guard page: an overflow of this stack faults too, instead of writing elsewhere.
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
