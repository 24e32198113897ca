using DualSparse.Engine.Moe.Balance;

namespace DualSparse.Benchmarks.Systems;

/// <summary>Which of the three systems are on.</summary>
/// <param name="Name">What tables call it.</param>
/// <param name="Drops">Whether a quarter of the routed experts' work is skipped (DualSparse-MoE).</param>
/// <param name="Overlaps">Whether something is computed while rows travel (ScMoE); else each step waits for its messages.</param>
/// <param name="Balance">What ranks do about uneven loads (ReaLB's precision; with thresholds, both).</param>
internal sealed record SystemsSetting(string Name, bool Drops, bool Overlaps, BalanceMode Balance)
{
    /// <summary>None, each alone, all.</summary>
    public static IReadOnlyList<SystemsSetting> All { get; } =
    [
        new("none", false, false, BalanceMode.None),
        new("drop", true, false, BalanceMode.None),
        new("overlap", false, true, BalanceMode.None),
        new("precision", false, false, BalanceMode.Precision),
        new("all", true, true, BalanceMode.Both),
    ];
}
