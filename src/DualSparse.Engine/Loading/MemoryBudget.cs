using System.Globalization;
using DualSparse.Models;

namespace DualSparse.Engine.Loading;

/// <summary>Memory free for this process: the machine's, or its control group's where that is less.</summary>
internal static class MemoryBudget
{
    /// <summary>Bytes that can be had without swapping or being killed, as well as the system tells.</summary>
    public static long AvailableBytes()
    {
        // Where nothing tells what is free, all there is: the machine's memory, or what a job object or a control group grants.
        long all = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        if (OperatingSystem.IsWindows())
            return Math.Min(all, WindowsMemory.AvailableBytes() ?? all);
        long machine = SystemFile.Field("/proc/meminfo", "MemAvailable:") * 1024 ?? all;
        return Math.Min(machine, ControlGroups.FreeBytes());
    }

    /// <summary>Compares what a model needs with what is free.</summary>
    /// <exception cref="ModelFormatException">It needs more.</exception>
    public static void Require(long neededBytes, string what)
    {
        long free = AvailableBytes();
        if (neededBytes > free)
        {
            throw new ModelFormatException(
                $"{what} needs {Show(neededBytes)} of memory, {Show(free)} is free: choose narrower weights (int8, int4), fewer tokens of context, or a larger machine");
        }
    }

    /// <summary>A size for people: "1.5 GiB".</summary>
    public static string Show(long bytes) => bytes >= 1L << 30
        ? string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 30):0.0} GiB")
        : string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 20):0.0} MiB");
}
