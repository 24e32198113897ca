namespace DualSparse.Engine.Loading;

/// <summary>The files in which a version of control groups reports a group's memory, descendants included.</summary>
internal sealed class ControlGroupVersion
{
    /// <summary>Version 1 ("memory" controller); without a limit its number is near 2⁶³.</summary>
    public static readonly ControlGroupVersion One = new(["memory.limit_in_bytes"], "memory.usage_in_bytes", "total_");

    /// <summary>Version 2; above memory.high a group isn't killed but slowed until it has released memory.</summary>
    public static readonly ControlGroupVersion Two = new(["memory.max", "memory.high"], "memory.current", "");

    private readonly string[] limits;
    private readonly string used;
    private readonly string prefix;

    private ControlGroupVersion(string[] limits, string used, string prefix) => (this.limits, this.used, this.prefix) = (limits, used, prefix);

    /// <summary>Bytes that a group's limit leaves; <see cref="long.MaxValue"/> without a limit.</summary>
    /// <param name="folder">The group's folder.</param>
    public long FreeBytes(string folder)
    {
        long limit = limits.Select(file => SystemFile.Number($"{folder}/{file}")).Min() ?? long.MaxValue;
        if (limit == long.MaxValue || SystemFile.Number($"{folder}/{used}") is not { } taken)
            return long.MaxValue;
        // The page cache counts as free, the active part too, as in /proc/meminfo's MemAvailable: the kernel reclaims it before it swaps or
        // kills, and a checkpoint that has been read twice is active. tmpfs and locked pages are in neither part.
        long cache = Cache(folder, "inactive_file") + Cache(folder, "active_file");
        return Math.Max(0, limit - Math.Max(0, taken - cache));
    }

    private long Cache(string folder, string name) => SystemFile.Field($"{folder}/memory.stat", prefix + name) ?? 0;
}
