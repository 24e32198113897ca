using DualSparse.Engine.Moe.Balance;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Engine.Moe.Overlap;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Packing;

namespace DualSparse.Engine.Moe;

/// <summary>
/// One layer's rows between dispatch and combine, with their memory. It is open from <see cref="LocalExchange.BeginDispatch"/> to
/// <see cref="LocalExchange.EndCombine"/>; several may be open at once.
/// </summary>
internal sealed class ExpertTicket : IDisposable
{
    private readonly List<RankShare> shares = [];
    private bool[] low = [], used = [];
    private LowFormat lowFormat;
    private bool keepsConverted;

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

    /// <summary>The same as the experts of ranks that have switched read them; undefined where none has.</summary>
    public ActivationRows LowRows { get; } = new();

    /// <summary>Of each pair, at which thresholds it is dropped; empty unless loads are balanced.</summary>
    public DropLevels Levels { get; } = new();

    /// <summary>The number of rows.</summary>
    public int RowCount { get; set; }

    /// <summary>What each rank computes, in the order of ranks.</summary>
    public IReadOnlyList<RankShare> Ranks => shares;

    /// <summary>Whether a rank computes in the lower precision.</summary>
    public bool IsLow(int rank) => low.Length > 0 && low[rank];

    /// <summary>What is made of an intermediate row of those ranks; null: nothing.</summary>
    public RowRounding? Rounding => LowPrecision.Rounding(lowFormat);

    /// <summary>Says which ranks do.</summary>
    /// <param name="placement">Which rank has which part.</param>
    /// <param name="format">The lower precision.</param>
    /// <param name="ranks">[ranks]; empty, or none: no rank does.</param>
    /// <param name="isUsed">Whether any row asks for a part.</param>
    /// <param name="keepsConverted">See <see cref="BalanceSetting.KeepsConverted"/>.</param>
    public void Switch(ExpertPlacement placement, LowFormat format, bool[] ranks, Func<int, bool> isUsed, bool keepsConverted = false)
    {
        (low, lowFormat, this.keepsConverted) = (Array.Exists(ranks, rank => rank) ? ranks : [], format, keepsConverted);
        used = low.Length == 0 ? [] : [.. Enumerable.Range(0, placement.RankOf.Length).Select(isUsed)];
    }

    /// <summary>No rank does.</summary>
    public void SwitchNone() => (low, used) = ([], []);

    /// <summary>Encodes rows for the experts of all ranks.</summary>
    /// <param name="work">Threads, kernels.</param>
    /// <param name="experts">The layer's.</param>
    /// <param name="x">[rows, D] f32, dense.</param>
    /// <param name="rows">Rows.</param>
    public unsafe void Encode(Workspace work, PackedExperts experts, float* x, int rows)
    {
        RowCount = rows;
        if (low.Length == 0 || Array.Exists(low, rank => !rank))
            GroupedGemm.Encode(work, experts, x, rows, Rows);
        if (low.Length > 0)
            LowPrecision.Encode(work, lowFormat, x, rows, experts.Hidden, LowRows);
    }

    /// <summary>The rows as a rank reads them.</summary>
    public ActivationRows RowsFor(int rank) => IsLow(rank) ? LowRows : Rows;

    /// <summary>The form of rows for a rank.</summary>
    /// <param name="work">Kernels.</param>
    /// <param name="experts">The layer's.</param>
    /// <param name="rank">The rank.</param>
    public Kernels.ActivationFormat FormFor(Workspace work, PackedExperts experts, int rank) =>
        work.Kernels[IsLow(rank) ? LowExperts.Format(lowFormat) : experts.Format].Activations;

    /// <summary>Makes the experts of a rank of this process ready: where it has switched they are converted.</summary>
    /// <param name="work">Threads.</param>
    /// <param name="experts">The layer's.</param>
    /// <param name="placement">Which rank has which part.</param>
    /// <param name="rank">The rank.</param>
    /// <param name="share">Its share here, which receives them.</param>
    /// <param name="ownIndex">Whether <paramref name="experts"/> are the rank's alone.</param>
    public void PrepareExperts(Workspace work, PackedExperts experts, ExpertPlacement placement, int rank, RankShare share, bool ownIndex)
    {
        if (!IsLow(rank))
        {
            share.Experts = experts;
            return;
        }

        int[] parts = placement.PartsOf(rank);
        share.Low.Convert(work, experts, ownIndex ? [.. Enumerable.Range(0, parts.Length)] : parts, [.. parts.Select(part => used[part])], lowFormat, keepsConverted);
        share.Experts = share.Low.Experts;
    }

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
        LowRows.Dispose();
        shares.ForEach(s => s.Dispose());
    }

    /// <summary>One rank's rows by expert, and its weighted sums.</summary>
    internal sealed class RankShare : IDisposable
    {
        /// <summary>The rank.</summary>
        public int Rank { get; set; }

        /// <summary>Rows by expert; empty where the rank has nothing to do.</summary>
        public ExpertBatch Batch { get; } = new();

        /// <summary>[rows, D] f32: for each row the weighted sum of the rank's experts; undefined where the batch is empty.</summary>
        public ScratchBuffer Sums { get; } = new();

        /// <summary>The experts that compute them; null: not yet known.</summary>
        public PackedExperts? Experts { get; set; }

        /// <summary>Where they are in a lower precision.</summary>
        public LowExperts Low { get; } = new();

        /// <inheritdoc/>
        public void Dispose()
        {
            Sums.Dispose();
            Low.Dispose();
        }
    }
}
