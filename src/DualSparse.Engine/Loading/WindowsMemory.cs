using System.Runtime.InteropServices;

namespace DualSparse.Engine.Loading;

/// <summary>The memory that Windows reports.</summary>
internal static unsafe partial class WindowsMemory
{
    /// <summary>Bytes of physical memory that are available, at most what this process may commit; null if Windows doesn't report it.</summary>
    public static long? AvailableBytes()
    {
        var status = new Status { Length = (uint)sizeof(Status) };
        return GlobalMemoryStatusEx(ref status) == 0 ? null : (long)Math.Min(status.AvailablePhysical, status.AvailablePageFile);
    }

    // MEMORYSTATUSEX of sysinfoapi.h.
    private struct Status
    {
        public uint Length, Load;
        public ulong TotalPhysical, AvailablePhysical, TotalPageFile, AvailablePageFile, TotalVirtual, AvailableVirtual, AvailableExtendedVirtual;
    }

    [LibraryImport("kernel32")]
    private static partial int GlobalMemoryStatusEx(ref Status status);
}
