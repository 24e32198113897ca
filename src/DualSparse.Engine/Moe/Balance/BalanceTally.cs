namespace DualSparse.Engine.Moe.Balance;

/// <summary>What balancing has come to over layers of passes, in predicted seconds: every rank has the same figures.</summary>
internal sealed class BalanceTally
{
    /// <summary>Layers decided.</summary>
    public long Layers { get; private set; }

    /// <summary>Σ of the highest load, nothing dropped, no rank switched.</summary>
    public double Highest { get; private set; }

    /// <summary>Σ of the mean load, likewise.</summary>
    public double Mean { get; private set; }

    /// <summary>Σ of the highest load with T_max everywhere, no rank switched.</summary>
    public double Uniform { get; private set; }

    /// <summary>Σ of the highest load as it is computed.</summary>
    public double Balanced { get; private set; }

    /// <summary>Row-part pairs.</summary>
    public long Pairs { get; private set; }

    /// <summary>Those on ranks that had switched.</summary>
    public long SwitchedPairs { get; private set; }

    /// <summary>(max − mean) / max: the share of the experts' time that perfect balance would save.</summary>
    public double Bound => Highest > 0 ? 1 - Mean / Highest : 0;

    /// <summary>The share of the experts' time that is saved.</summary>
    public double Saved => Highest > 0 ? 1 - Balanced / Highest : 0;

    /// <summary>The share of pairs that are computed in the lower precision.</summary>
    public double SwitchedShare => Pairs > 0 ? (double)SwitchedPairs / Pairs : 0;

    /// <summary>Adds a layer.</summary>
    public void Add(LoadTimes times, ReadOnlySpan<int> levels, ReadOnlySpan<bool> low)
    {
        double highest = 0, mean = 0, uniform = 0, balanced = 0;
        for (int rank = 0; rank < times.Ranks; rank++)
        {
            double whole = times.Seconds(rank, 0);
            (highest, mean) = (Math.Max(highest, whole), mean + whole / times.Ranks);
            uniform = Math.Max(uniform, times.Seconds(rank, times.Table.Levels));
            balanced = Math.Max(balanced, times.Seconds(rank, levels[rank], low));
            Pairs += times.Table.Pairs(rank);
            SwitchedPairs += !low.IsEmpty && low[rank] ? times.Table.Pairs(rank) : 0;
        }

        Layers++;
        (Highest, Mean, Uniform, Balanced) = (Highest + highest, Mean + mean, Uniform + uniform, Balanced + balanced);
    }

    /// <summary>Begins anew.</summary>
    public void Clear() => (Layers, Highest, Mean, Uniform, Balanced, Pairs, SwitchedPairs) = (0, 0, 0, 0, 0, 0, 0);
}
