using DualSparse.Engine.Moe.Drop;
using DualSparse.Engine.Moe.Overlap;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;

namespace DualSparse.Engine.Moe;

/// <summary>
/// One layer's rows between dispatch and combine, with their memory. It is open from <see cref="LocalExchange.BeginDispatch"/> to
/// <see cref="LocalExchange.EndCombine"/>; several may be open at once.
/// </summary>
internal sealed class ExpertTicket : IDisposable
{
    private readonly List<RankShare> shares = [];

    /// <summary>Whose rows they are.</summary>
    public ExpertLane Lane { get; set; }

    /// <summary>When its rows were on their way, where a clock runs.</summary>
    public TravelTimes Travel { get; set; }

    /// <summary>The thresholds that these tokens were given, for their second routing.</summary>
    public ThresholdMemo Thresholds { get; } = new();

    /// <summary>The rows' experts and weights, and what is computed of each pair.</summary>
    public RoutingPlan Routing { get; } = new();

    /// <summary>[rows, D], each once, as the experts' kernel reads them.</summary>
    public ActivationRows Rows { get; } = new();

    /// <summary>The number of rows.</summary>
    public int RowCount { get; set; }

    /// <summary>What each rank computes, in the order of ranks.</summary>
    public IReadOnlyList<RankShare> Ranks => shares;

    /// <summary>Makes room for the shares of <paramref name="count"/> ranks.</summary>
    public void SetRanks(int count)
    {
        if (shares.Count > count)
        {
            shares.Slice(count, shares.Count - count).ForEach(s => s.Dispose());
            shares.RemoveRange(count, shares.Count - count);
        }

        while (shares.Count < count)
            shares.Add(new RankShare());
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        Rows.Dispose();
        shares.ForEach(s => s.Dispose());
    }

    /// <summary>One rank's rows by expert, and its weighted sums.</summary>
    internal sealed class RankShare : IDisposable
    {
        /// <summary>Rows by expert; empty where the rank has nothing to do.</summary>
        public ExpertBatch Batch { get; } = new();

        /// <summary>[rows, D] f32: for each row the weighted sum of the rank's experts; undefined where the batch is empty.</summary>
        public ScratchBuffer Sums { get; } = new();

        /// <inheritdoc/>
        public void Dispose() => Sums.Dispose();
    }
}
