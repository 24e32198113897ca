namespace DualSparse.Engine.Moe.Balance;

/// <summary>
/// Load-aware thresholds (arXiv 2508.18376, §4.3): at which level of its thresholds each rank drops. Pure; all ranks find the same from one table.
/// </summary>
internal static class ThresholdRule
{
    /// <summary>The level of each rank.</summary>
    /// <param name="times">Predicted times.</param>
    /// <param name="low">[ranks] which compute in the lower precision; empty: none does.</param>
    /// <param name="rule">
    /// Makespan: L* = max_d load_d(T_max), and each rank takes the smallest level that keeps it at or under L*: the highest load is that of T_max
    /// everywhere, and no more is dropped. Paper: T_d = T_max·min(1, ρ_d), ρ_d = load_d / mean load before dropping, to the nearest level. All: T_max.
    /// </param>
    public static int[] Levels(LoadTimes times, ReadOnlySpan<bool> low, BalanceRule rule)
    {
        int[] levels = new int[times.Ranks];
        int most = times.Table.Levels;
        Array.Fill(levels, most);
        if (rule == BalanceRule.All)
            return levels;
        double[] loads = new double[levels.Length];
        for (int rank = 0; rank < levels.Length; rank++)
            loads[rank] = times.Seconds(rank, rule == BalanceRule.Paper ? 0 : most, low);
        double limit = loads.Max(), mean = loads.Average();
        for (int rank = 0; rank < levels.Length; rank++)
            levels[rank] = rule == BalanceRule.Paper ? Scaled(loads[rank], mean, most) : Smallest(times, low, rank, limit);
        return levels;
    }

    private static int Scaled(double load, double mean, int most) => mean > 0 ? (int)Math.Round(most * Math.Min(1, load / mean)) : most;

    // Times never grow with the level, and at the last one a rank is under the limit.
    private static int Smallest(LoadTimes times, ReadOnlySpan<bool> low, int rank, double limit)
    {
        int under = times.Table.Levels, over = -1;
        while (under - over > 1)
        {
            int middle = (under + over) / 2;
            if (times.Seconds(rank, middle, low) <= limit)
                under = middle;
            else
                over = middle;
        }

        return under;
    }
}
