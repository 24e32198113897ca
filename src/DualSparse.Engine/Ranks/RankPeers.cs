using DualSparse.Engine.Moe;

namespace DualSparse.Engine.Ranks;

/// <summary>How this process meets the others that run the same model.</summary>
internal sealed record RankPeers
{
    /// <summary>What ranks with parts of the same rows do together; null: no rows are on several ranks.</summary>
    public ICollective? Collective { get; init; }

    /// <summary>How rows reach the routed experts of other ranks; null: every rank has all rows.</summary>
    public IExchange? Exchange { get; init; }

    /// <summary>How many rows each rank has in the pass that begins; null: all have the same.</summary>
    public Func<int[]>? RowsOfPass { get; init; }

    /// <summary>Gives every rank the numbers of all, by rank, as many of each; all call it together.</summary>
    public Func<double[], double[][]>? Share { get; init; }

    /// <summary>On the first rank, whose passes the others run too; else null.</summary>
    public IPassLeader? Leader { get; init; }
}
