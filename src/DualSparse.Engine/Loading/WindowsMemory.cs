using System.Runtime.InteropServices;

namespace DualSparse.Engine.Loading;

/// <summary>What Windows says of its memory.</summary>
internal static unsafe partial class WindowsMemory
{
    /// <summary>Bytes of physical memory that are free or can be had at once, no more than this process may commit; null where it doesn't tell.</summary>
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
