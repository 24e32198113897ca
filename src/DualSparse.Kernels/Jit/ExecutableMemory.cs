using System.Runtime.InteropServices;

namespace DualSparse.Kernels.Jit;

/// <summary>A few pages of code: written first, executable afterwards, never both at once. Freed on <see cref="Dispose"/>.</summary>
internal sealed unsafe partial class ExecutableMemory : IDisposable
{
    private readonly nuint bytes;
    private byte* start;

    /// <summary>Copies <paramref name="code"/>, which may lie anywhere (it refers only to itself), and makes it executable.</summary>
    /// <exception cref="KernelRefusedException">The system gives no memory that can become executable.</exception>
    public ExecutableMemory(ReadOnlySpan<byte> code)
    {
        bytes = (nuint)code.Length;
        start = OperatingSystem.IsWindows() ? AllocateWindows(code) : AllocatePosix(code);
    }

    /// <summary>Frees forgotten pages.</summary>
    ~ExecutableMemory() => Free();

    /// <summary>The first instruction.</summary>
    public void* Start => start;

    /// <summary>Gives the pages back; the code must not run any more.</summary>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        if (start is null)
            return;
        if (OperatingSystem.IsWindows())
            _ = VirtualFree(start, 0, Windows.Release);
        else
            _ = Unmap(start, bytes);
        start = null;
    }

    private static byte* AllocatePosix(ReadOnlySpan<byte> code)
    {
        int anonymous = OperatingSystem.IsMacOS() ? Posix.AnonymousMac : Posix.AnonymousLinux;
        nint memory = Map(null, (nuint)code.Length, Posix.Read | Posix.Write, Posix.Private | anonymous, -1, 0);
        if (memory == -1)
            throw Refused();
        code.CopyTo(new Span<byte>((void*)memory, code.Length));
        if (Protect((void*)memory, (nuint)code.Length, Posix.Read | Posix.Execute) != 0)
        {
            var refused = Refused();
            _ = Unmap((void*)memory, (nuint)code.Length);
            throw refused;
        }

        return (byte*)memory;
    }

    private static byte* AllocateWindows(ReadOnlySpan<byte> code)
    {
        void* memory = VirtualAlloc(null, (nuint)code.Length, Windows.Commit | Windows.Reserve, Windows.ReadWrite);
        if (memory is null)
            throw Refused();
        code.CopyTo(new Span<byte>(memory, code.Length));
        if (VirtualProtect(memory, (nuint)code.Length, Windows.ExecuteRead, out _) == 0)
        {
            var refused = Refused();
            _ = VirtualFree(memory, 0, Windows.Release);
            throw refused;
        }

        return (byte*)memory;
    }

    private static KernelRefusedException Refused() =>
        new($"the system gives no executable memory (error {Marshal.GetLastPInvokeError()})");

    // Names and values of sys/mman.h.
    private static class Posix
    {
        public const int Read = 1, Write = 2, Execute = 4, Private = 2, AnonymousLinux = 0x20, AnonymousMac = 0x1000;
    }

    // Names and values of memoryapi.h.
    private static class Windows
    {
        public const uint Commit = 0x1000, Reserve = 0x2000, Release = 0x8000, ReadWrite = 4, ExecuteRead = 0x20;
    }

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(void* address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    private static partial int Protect(void* address, nuint length, int protection);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(void* address, nuint length);

    [LibraryImport("kernel32", SetLastError = true)]
    private static partial void* VirtualAlloc(void* address, nuint size, uint type, uint protection);

    [LibraryImport("kernel32", SetLastError = true)]
    private static partial int VirtualProtect(void* address, nuint size, uint protection, out uint before);

    [LibraryImport("kernel32")]
    private static partial int VirtualFree(void* address, nuint size, uint type);
}
