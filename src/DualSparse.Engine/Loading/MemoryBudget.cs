using System.Globalization;
using DualSparse.Models;

namespace DualSparse.Engine.Loading;

/// <summary>The memory free for this process: the machine's, or its control group's if that is less.</summary>
internal static class MemoryBudget
{
    /// <summary>Bytes that can be allocated without swapping or being killed, as far as the system reports.</summary>
    public static long AvailableBytes()
    {
        // If the free memory can't be read: all memory of the machine, job object or control group.
        long all = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        if (OperatingSystem.IsWindows())
            return Math.Min(all, WindowsMemory.AvailableBytes() ?? all);
        long machine = SystemFile.Field("/proc/meminfo", "MemAvailable:") * 1024 ?? all;
        return Math.Min(machine, ControlGroups.FreeBytes());
    }

    /// <summary>Checks that a model fits into the memory that is free.</summary>
    /// <exception cref="ModelFormatException">It needs more.</exception>
    public static void Require(long neededBytes, string what)
    {
        long free = AvailableBytes();
        if (neededBytes > free)
        {
            throw new ModelFormatException(
                $"{what} needs {Format(neededBytes)} of memory, {Format(free)} is free: choose narrower weights (int8, int4), fewer tokens of context, or a larger machine");
        }
    }

    /// <summary>A readable size: "1.5 GiB".</summary>
    public static string Format(long bytes) => bytes >= 1L << 30
        ? string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 30):0.0} GiB")
        : string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 20):0.0} MiB");
}
