using System.Numerics.Tensors;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;

namespace DualSparse.Engine.Moe;

/// <summary>
/// The exchange between router and experts if all ranks are this process: rows are encoded as the kernel reads them, and each rank's
/// weighted sums are added in the order of ranks. Nothing is copied, and the sums equal those of several processes with the same placement.
/// </summary>
/// <remarks>An exchange between processes has the same steps, with the layer's other work between them.</remarks>
internal static unsafe class LocalExchange
{
    // Tokens whose sums one thread adds at a time: a few microseconds.
    private const int TokensPerItem = 4;

    /// <summary>Sends rows to the experts that their routing names; dropped pairs aren't sent.</summary>
    /// <param name="work">Threads, kernels.</param>
    /// <param name="ticket">The ticket, its routing decided; receives rows and lists.</param>
    /// <param name="experts">The layer's weights.</param>
    /// <param name="placement">Which rank has which.</param>
    /// <param name="x">[rows, D] f32, dense.</param>
    /// <param name="rows">Rows.</param>
    public static void BeginDispatch(Workspace work, ExpertTicket ticket, PackedExperts experts, ExpertPlacement placement, float* x, int rows)
    {
        ticket.RowCount = rows;
        ticket.SetRanks(placement.Ranks);
        GroupedGemm.Encode(work, experts, x, rows, ticket.Rows);
        for (int rank = 0; rank < placement.Ranks; rank++)
            RowLists.Build(ticket.Routing, placement, rank, ticket.Ranks[rank].Batch);
    }

    /// <summary>The shares that this process computes: all.</summary>
    public static IReadOnlyList<ExpertTicket.RankShare> Receive(ExpertTicket ticket) => ticket.Ranks;

    /// <summary>Adds the ranks' sums to y.</summary>
    /// <param name="work">Threads.</param>
    /// <param name="ticket">The ticket, its sums computed.</param>
    /// <param name="hidden">D.</param>
    /// <param name="y">[rows, D] f32, added to.</param>
    public static void EndCombine(Workspace work, ExpertTicket ticket, int hidden, float* y)
    {
        var parts = new List<nint>(ticket.Ranks.Count);
        foreach (var share in ticket.Ranks)
        {
            if (share.Batch.Tokens.Count > 0)
                parts.Add((nint)share.Sums.Current);
        }

        AllReduce(work.Team, parts, ticket.RowCount, hidden, y);
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
