using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Engine.Moe;

/// <summary>
/// The exchange between router and experts where every rank has all rows, or all ranks are this process: rows are encoded as the kernel reads them,
/// and only sums travel, which are added in the order of ranks. Those of one process equal those of several with the same placement.
/// </summary>
internal sealed unsafe class LocalExchange : IExchange
{
    /// <summary>This process is all ranks.</summary>
    public static readonly LocalExchange Instance = new(null);

    private readonly int? rank;

    private LocalExchange(int? rank) => this.rank = rank;

    /// <summary>For a process that is one rank of several, each of which has all rows; null: it is all of them.</summary>
    public static LocalExchange Of(int? rank) => rank is null ? Instance : new LocalExchange(rank);

    /// <inheritdoc/>
    public void BeginDispatch(Pass pass, int layer, ExpertTicket ticket, PackedExperts experts, ExpertPlacement placement, float* x)
    {
        ticket.RowCount = pass.Rows;
        GroupedGemm.Encode(pass.Work, experts, x, pass.Rows, ticket.Rows);
        ticket.SetRanks(rank is null ? placement.Ranks : 1);
        for (int share = 0; share < ticket.Ranks.Count; share++)
            RowLists.Build(ticket.Routing, placement, rank ?? share, ticket.Ranks[share].Batch, ownIndex: rank is not null);
    }

    /// <inheritdoc/>
    public IEnumerable<ExpertShare> Receive(Pass pass, int layer, ExpertTicket ticket, PackedExperts experts) =>
        ticket.Ranks.Where(share => share.Batch.Tokens.Count > 0).Select(share => new ExpertShare(share.Batch, ticket.Rows, ticket.RowCount, share.Sums));

    /// <inheritdoc/>
    public void EndCombine(Pass pass, int layer, ExpertTicket ticket, int hidden, float* y)
    {
        var parts = new List<nint>(ticket.Ranks.Count);
        foreach (var share in ticket.Ranks)
        {
            if (share.Batch.Tokens.Count > 0)
                parts.Add((nint)share.Sums.Current);
        }

        // Where nothing is left of a layer, that holds on every rank.
        if (parts.Count > 0)
            pass.Collective.AllReduce(pass, parts, ticket.RowCount, hidden, y);
    }
}
