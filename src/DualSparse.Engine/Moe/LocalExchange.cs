using DualSparse.Engine.Moe.Balance;
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
    public void ShareLoads(Pass pass, ExpertTicket ticket, LoadTable loads)
    {
        // All rows are here.
    }

    /// <inheritdoc/>
    public void BeginDispatch(Pass pass, int layer, ExpertTicket ticket, PackedExperts experts, ExpertPlacement placement, float* x)
    {
        ticket.Encode(pass.Work, experts, x, pass.Rows);
        ticket.SetRanks(rank is null ? placement.Ranks : 1);
        for (int i = 0; i < ticket.Ranks.Count; i++)
        {
            var share = ticket.Ranks[i];
            (share.Rank, bool ownIndex) = (rank ?? i, rank is not null);
            // What is converted is a rank's own.
            RowLists.Build(ticket.Routing, placement, share.Rank, share.Batch, ownIndex || ticket.IsLow(share.Rank));
            ticket.PrepareExperts(pass.Work, experts, placement, share.Rank, share, ownIndex);
        }
    }

    /// <inheritdoc/>
    public IEnumerable<ExpertShare> Receive(Pass pass, int layer, ExpertTicket ticket, PackedExperts experts) =>
        ticket.Ranks.Where(share => share.Batch.Tokens.Count > 0).Select(share => new ExpertShare(share.Batch, ticket.RowsFor(share.Rank), ticket.RowCount, share.Experts!, share.Sums));

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
