namespace DualSparse.Kernels;

/// <summary>The state of an entry of <see cref="KernelTable"/>.</summary>
internal enum KernelState
{
    /// <summary>It multiplies the weights of its format.</summary>
    Used,

    /// <summary>It can run, but a better one, or the one forced by name, is used.</summary>
    Available,

    /// <summary>It can't run: see <see cref="KernelStatus.Reason"/>.</summary>
    Refused,
}

/// <summary>One line of <see cref="KernelReport"/>.</summary>
/// <param name="Weights">The format.</param>
/// <param name="Name">The kernel.</param>
/// <param name="State">Its state.</param>
/// <param name="Reason">One clause that says why it was refused; null otherwise.</param>
internal sealed record KernelStatus(WeightFormat Weights, string Name, KernelState State, string? Reason);

/// <summary>Which kernels this machine uses, which it could use, and why it can't use the others.</summary>
internal static class KernelReport
{
    /// <summary>The whole table, formats in order, best entries first, as <see cref="KernelTable.Variable"/> sets it.</summary>
    /// <exception cref="InvalidOperationException">The variable names no kernel, or one that this machine can't run.</exception>
    public static IReadOnlyList<KernelStatus> Current() => Of(CpuFeatures.Current, Environment.GetEnvironmentVariable(KernelTable.Variable));

    /// <summary>The whole table for a given machine and a forced name (null or empty: none).</summary>
    /// <exception cref="InvalidOperationException">The name is no kernel's, or this machine can't run it.</exception>
    public static IReadOnlyList<KernelStatus> Of(CpuFeatures cpu, string? forced)
    {
        List<KernelStatus> lines = [];
        foreach (var format in Enum.GetValues<WeightFormat>())
        {
            string used = KernelTable.Choose(format, cpu, forced).Name;
            foreach (var entry in KernelTable.Entries.Where(e => e.Weights == format))
            {
                string? reason = entry.TryCreate(cpu, out _);
                var state = reason is not null ? KernelState.Refused : entry.Name == used ? KernelState.Used : KernelState.Available;
                lines.Add(new KernelStatus(format, entry.Name, state, reason));
            }
        }

        return lines;
    }
}
