using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Packing;

namespace DualSparse.Distributed;

/// <summary>
/// The exchange of rank 0, whose passes these are, with ranks that have the other experts: each row goes to a rank once, encoded as its kernel reads
/// it; one weighted sum a row comes back. The own share never leaves the process and is computed while the others travel.
/// </summary>
internal sealed unsafe class PeerExchange(RankGroup group) : IExchange, IDisposable
{
    /// <summary>Tags: rows go out under one, sums come back under the other.</summary>
    public const int RowsTag = 1, SumsTag = 2;

    private readonly Dictionary<ExpertTicket, Peer[]> open = [];
    private readonly Stack<Peer[]> free = new();
    private bool ready;

    /// <inheritdoc/>
    public void BeginDispatch(Pass pass, int layer, ExpertTicket ticket, PackedExperts experts, ExpertPlacement placement, float* x)
    {
        int rows = pass.Rows;
        if (!ready)
            Handshake.RequireLoaded(group);
        ready = true;
        Abandon();
        ticket.RowCount = rows;
        ticket.SetRanks(placement.Ranks);
        GroupedGemm.Encode(pass.Work, experts, x, rows, ticket.Rows);
        var peers = free.TryPop(out var used) ? used : [.. Enumerable.Range(0, group.Size).Select(rank => new Peer(group, rank))];
        open.Add(ticket, peers);
        // The others' rows first: they travel while the own list is made and computed.
        for (int rank = placement.Ranks - 1; rank >= 0; rank--)
        {
            var batch = ticket.Ranks[rank].Batch;
            RowLists.Build(ticket.Routing, placement, rank, batch, ownIndex: true);
            if (rank != 0 && batch.Tokens.Count > 0)
                peers[rank].Begin(layer, batch, ticket.Rows, rows, experts.Hidden);
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<ExpertTicket.RankShare> Receive(ExpertTicket ticket) => [ticket.Ranks[0]];

    /// <inheritdoc/>
    public void EndCombine(Pass pass, ExpertTicket ticket, int hidden, float* y)
    {
        open.Remove(ticket, out var peers);
        for (int rank = 1; rank < ticket.Ranks.Count; rank++)
        {
            var share = ticket.Ranks[rank];
            if (share.Batch.Tokens.Count > 0)
                peers![rank].End(share.Sums.Floats((nint)ticket.RowCount * hidden), ticket.RowCount, hidden);
        }

        free.Push(peers!);
        LocalExchange.Instance.EndCombine(pass, ticket, hidden, y);
    }

    /// <summary>Tells the other ranks that there is nothing more to do.</summary>
    public void Dispose()
    {
        Abandon();
        var end = new ShareHeader(RankCommand.End, 0, 0, 0, 0, sizeof(ShareHeader));
        for (int rank = 1; rank < group.Size; rank++)
        {
            using var message = group.Send(rank, RowsTag, &end, sizeof(ShareHeader));
            group.Wait(message, "the end");
        }

        while (free.TryPop(out var peers))
            Array.ForEach(peers, peer => peer.Dispose());
    }

    // A pass that was cancelled has left its sums on the way; they come, and nobody wants them.
    private void Abandon()
    {
        foreach (var peers in open.Values)
        {
            Array.ForEach(peers, peer => peer.Finish());
            free.Push(peers);
        }

        open.Clear();
    }

    /// <summary>One rank's share of a ticket on its way.</summary>
    private sealed class Peer(RankGroup group, int rank) : IDisposable
    {
        private readonly ShareMessage share = new();
        private readonly ScratchBuffer sums = new();
        private readonly List<RankMessage> messages = [];

        public void Begin(int layer, ExpertBatch batch, ActivationRows encoded, int rows, int hidden)
        {
            share.Pack(layer, batch, encoded, rows, hidden);
            int count = checked(share.Header.Rows * hidden * sizeof(float)) / sizeof(float);
            messages.Add(group.Receive(rank, SumsTag, sums.Floats(count), count * sizeof(float)));
            int first = Math.Min(share.Header.Bytes, ShareMessage.FirstPart);
            messages.Add(group.Send(rank, RowsTag, share.Bytes, first));
            if (share.Header.Bytes > first)
                messages.Add(group.Send(rank, RowsTag, share.Bytes + first, share.Header.Bytes - first));
        }

        /// <summary>Waits for the sums and spreads them over all rows; those that the rank didn't get are zero, as they are in one process.</summary>
        public void End(float* target, int rows, int hidden)
        {
            Finish();
            new Span<float>(target, rows * hidden).Clear();
            for (int r = 0; r < share.RowsOfPass.Count; r++)
                new ReadOnlySpan<float>(sums.Current + (nint)r * hidden, hidden).CopyTo(new Span<float>(target + (nint)share.RowsOfPass[r] * hidden, hidden));
        }

        public void Finish()
        {
            foreach (var message in messages)
            {
                group.Wait(message, $"layer {share.Header.Layer}'s experts");
                message.Dispose();
            }

            messages.Clear();
        }

        public void Dispose()
        {
            share.Dispose();
            sums.Dispose();
        }
    }
}
