namespace DualSparse.Engine.Moe.Balance;

/// <summary>Which ranks compute a layer's experts in the lower precision (arXiv 2604.19503). Pure; all ranks find the same from one table.</summary>
internal static class PrecisionRule
{
    /// <summary>Chooses ranks.</summary>
    /// <param name="times">Predicted times.</param>
    /// <param name="setting">The rule, and whether a rank may switch: only where more than <see cref="BalanceSetting.MarkedAbove"/> of its pairs is of marked rows.</param>
    /// <param name="knee">Rows of all ranks, above which ranks switch.</param>
    /// <returns>
    /// [ranks]. Paper: all that are hot, with a load above C times the mean, and may. Makespan: of these the smallest set whose switch gives the lowest
    /// predicted makespan: stragglers switch, one after another, for as long as that brings it down to the next straggler. All: all, whatever the rows.
    /// </returns>
    public static bool[] Choose(LoadTimes times, BalanceSetting setting, int knee)
    {
        int ranks = times.Ranks, level = times.Table.Levels;
        bool[] low = new bool[ranks];
        if (setting.Rule == BalanceRule.All)
            Array.Fill(low, true);
        if (setting.Rule == BalanceRule.All || times.Table.Rows <= knee)
            return low;
        double[] loads = [.. Enumerable.Range(0, ranks).Select(rank => times.Seconds(rank, level))];
        double mean = loads.Average();
        for (int rank = 0; rank < ranks; rank++)
            low[rank] = loads[rank] > setting.HotAbove * mean && (setting.MarkedAbove <= 0 || times.Table.Marked(rank) > setting.MarkedAbove * times.Table.Pairs(rank));
        if (setting.Rule == BalanceRule.Paper)
            return low;
        double makespan = Lowest(loads, [.. Enumerable.Range(0, ranks).Select(rank => low[rank] ? times.LowSeconds(rank, level) : double.PositiveInfinity)]);
        for (int rank = 0; rank < ranks; rank++)
            low[rank] = loads[rank] > makespan;
        return low;
    }

    /// <summary>The lowest makespan that switching can reach: whose load is above it must have switched, and nobody else need have.</summary>
    /// <param name="loads">[ranks] seconds.</param>
    /// <param name="switched">[ranks] seconds once switched; infinite where a rank may not.</param>
    public static double Lowest(ReadOnlySpan<double> loads, ReadOnlySpan<double> switched)
    {
        double[] now = loads.ToArray();
        bool[] done = new bool[now.Length];
        double best = now.Max();
        for (; ; )
        {
            int straggler = Array.IndexOf(now, now.Max());
            // One that has switched already, or would gain nothing, is where it ends.
            if (done[straggler] || !(switched[straggler] < loads[straggler]))
                return best;
            (now[straggler], done[straggler]) = (switched[straggler], true);
            best = Math.Min(best, now.Max());
        }
    }
}
