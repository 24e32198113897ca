using System.Numerics.Tensors;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;

namespace DualSparse.Engine.Moe;

/// <summary>
/// The exchange between router and experts if all ranks are this process: rows are encoded as the kernel reads them, and each rank's
/// weighted sums are added in the order of ranks. Nothing is copied, and the sums equal those of several processes with the same placement.
/// </summary>
internal sealed unsafe class LocalExchange : IExchange
{
    /// <summary>The only one: it has no state.</summary>
    public static readonly LocalExchange Instance = new();

    // Tokens whose sums one thread adds at a time: a few microseconds.
    private const int TokensPerItem = 4;

    private LocalExchange()
    {
    }

    /// <inheritdoc/>
    public void BeginDispatch(Workspace work, int layer, ExpertTicket ticket, PackedExperts experts, ExpertPlacement placement, float* x, int rows)
    {
        ticket.RowCount = rows;
        ticket.SetRanks(placement.Ranks);
        GroupedGemm.Encode(work, experts, x, rows, ticket.Rows);
        for (int rank = 0; rank < placement.Ranks; rank++)
            RowLists.Build(ticket.Routing, placement, rank, ticket.Ranks[rank].Batch);
    }

    /// <inheritdoc/>
    public IReadOnlyList<ExpertTicket.RankShare> Receive(ExpertTicket ticket) => ticket.Ranks;

    /// <inheritdoc/>
    public void EndCombine(Workspace work, ExpertTicket ticket, int hidden, float* y)
    {
        AddInOrder(work.Team, ticket, hidden, y);
    }

    /// <summary>Adds the sums of the ranks that had rows to y, in the order of ranks.</summary>
    public static void AddInOrder(ThreadTeam team, ExpertTicket ticket, int hidden, float* y)
    {
        var parts = new List<nint>(ticket.Ranks.Count);
        foreach (var share in ticket.Ranks)
        {
            if (share.Batch.Tokens.Count > 0)
                parts.Add((nint)share.Sums.Current);
        }

        AllReduce(team, parts, ticket.RowCount, hidden, y);
    }

    /// <summary>Adds each rank's part to y, in the order of ranks.</summary>
    /// <param name="team">Threads.</param>
    /// <param name="parts">[ranks] of [rows, <paramref name="width"/>] f32.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="width">Values of a row.</param>
    /// <param name="y">[rows, width] f32, added to.</param>
    public static void AllReduce(ThreadTeam team, IReadOnlyList<nint> parts, int rows, int width, float* y) =>
        team.For((rows + TokensPerItem - 1) / TokensPerItem, (item, _) =>
        {
            nint first = (nint)item * TokensPerItem * width;
            var sum = new Span<float>(y + first, Math.Min(TokensPerItem, rows - item * TokensPerItem) * width);
            foreach (nint part in parts)
                TensorPrimitives.Add(sum, new ReadOnlySpan<float>((float*)part + first, sum.Length), sum);
        });
}
