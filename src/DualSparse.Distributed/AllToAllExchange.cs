using System.Diagnostics;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Packing;

namespace DualSparse.Distributed;

/// <summary>
/// The exchange between ranks that have rows of their own and different experts: each row goes to a rank once, encoded as its kernel reads it, however
/// many of its experts are there; one weighted sum a row comes back. A rank's own share never leaves it and is computed while the others travel.
/// </summary>
internal sealed unsafe class AllToAllExchange(RankGroup group) : IExchange, IDisposable
{
    // With fewer rows in all, experts are read once for all of them; with more, each rank's rows are computed as they come.
    internal const int FewRows = 512;

    // MPI moves long messages only while it is asked; asking costs up to half a microsecond a message.
    private static readonly long ProgressTicks = Stopwatch.Frequency / 10_000;

    private readonly Dictionary<ExpertLane, Crossing> open = [];
    private readonly Stack<Crossing> free = new();
    private readonly ScratchBuffer loadBytes = new();
    private readonly List<RankMessage> loadMessages = [];
    private int[] rowsOf = new int[group.Size];
    private long lastProgress;

    /// <summary>Whether something is computed while rows travel; else all are waited for first, and all sums are sent at last, to compare with.</summary>
    public bool Overlaps { get; set; } = true;

    /// <summary>How many rows each rank has in this pass.</summary>
    public int[] RowsOfPass => rowsOf;

    /// <summary>Begins a pass: how many rows each rank has in it. Ranks without rows send none.</summary>
    public void BeginPass(int[] rows) => rowsOf = rows;

    /// <inheritdoc/>
    public void ShareLoads(Pass pass, ExpertTicket ticket, LoadTable loads)
    {
        int bytes = loads.Bytes, stride = (bytes + sizeof(float) - 1) / sizeof(float);
        float* all = loadBytes.Floats((nint)stride * group.Size);
        loads.Write(new Span<byte>(all + stride * group.Rank, bytes));
        // Who has no rows has nothing to say, but has experts that others ask for.
        for (int rank = 0; rank < group.Size; rank++)
        {
            if (rank == group.Rank)
                continue;
            if (rowsOf[rank] > 0)
                loadMessages.Add(group.Receive(rank, RankTag.Loads(ticket.Lane), all + stride * rank, bytes));
            if (pass.Rows > 0)
                loadMessages.Add(group.Send(rank, RankTag.Loads(ticket.Lane), all + stride * group.Rank, bytes));
        }

        group.WaitAll(loadMessages, $"layer {ticket.Lane.Layer}'s loads");
        for (int rank = 0; rank < group.Size; rank++)
        {
            if (rank != group.Rank && rowsOf[rank] > 0)
                loads.Merge(new ReadOnlySpan<byte>(all + stride * rank, bytes));
        }
    }

    /// <inheritdoc/>
    public void BeginDispatch(Pass pass, int layer, ExpertTicket ticket, PackedExperts experts, ExpertPlacement placement, float* x)
    {
        ticket.RowCount = pass.Rows;
        ticket.SetRanks(placement.Ranks);
        var crossing = free.TryPop(out var used) ? used : new Crossing(group);
        open.Add(ticket.Lane, crossing);
        pass.Work.Team.Between = Progress;
        if (pass.Clock is { } clock)
            group.Waited = clock.Waited;
        for (int rank = 0; rank < group.Size; rank++)
        {
            if (rank != group.Rank && rowsOf[rank] > 0)
                crossing.From[rank].Expect(ticket.Lane);
        }

        if (pass.Rows > 0)
        {
            ticket.Encode(pass.Work, experts, x, pass.Rows);
            // The others' rows first: they travel while the own list is made and computed.
            for (int step = 1; step <= group.Size; step++)
            {
                int rank = (group.Rank + step) % group.Size;
                var batch = ticket.Ranks[rank].Batch;
                RowLists.Build(ticket.Routing, placement, rank, batch, ownIndex: true);
                if (rank != group.Rank)
                    crossing.To[rank].Send(ticket.Lane, batch, ticket.RowsFor(rank), pass.Rows, experts.Hidden);
            }
        }

        crossing.Sent = Stopwatch.GetTimestamp();
        // And while experts are converted, where this rank has switched.
        ticket.PrepareExperts(pass.Work, experts, placement, group.Rank, ticket.Ranks[group.Rank], ownIndex: true);
    }

    /// <inheritdoc/>
    public IEnumerable<ExpertShare> Receive(Pass pass, int layer, ExpertTicket ticket, PackedExperts experts)
    {
        var crossing = open[ticket.Lane];
        var own = ticket.Ranks[group.Rank];
        bool hasOwn = pass.Rows > 0 && own.Batch.Tokens.Count > 0;
        var format = ticket.FormFor(pass.Work, experts, group.Rank);
        int[] sources = [.. Enumerable.Range(1, group.Size - 1).Select(step => (group.Rank + step) % group.Size).Where(rank => rowsOf[rank] > 0)];
        bool together = rowsOf.Sum() <= FewRows && sources.Length + (hasOwn ? 1 : 0) > 1;
        if (!together)
        {
            for (int i = 0; !Overlaps && i < sources.Length; i++)
                crossing.From[sources[i]].Await(ticket.Lane, format, experts.Hidden);
            // Rows that have come by now go first: their sums travel while the own share is computed.
            bool late = !Overlaps || sources.Length == 0 || !Array.TrueForAll(sources, rank => crossing.From[rank].HasCome(ticket.Lane));
            if (hasOwn && late)
                yield return new ExpertShare(own.Batch, ticket.RowsFor(group.Rank), ticket.RowCount, own.Experts!, own.Sums);
            foreach (int rank in sources)
            {
                var from = crossing.From[rank];
                if (Overlaps)
                    from.Await(ticket.Lane, format, experts.Hidden);
                if (from.Batch.Tokens.Count == 0)
                    continue;
                yield return new ExpertShare(from.Batch, from.Rows, from.Count, own.Experts!, from.Sums);
                if (Overlaps)
                    from.Answer(ticket.Lane, experts.Hidden);
            }

            foreach (var from in sources.Where(_ => !Overlaps).Select(rank => crossing.From[rank]).Where(from => from.Batch.Tokens.Count > 0))
                from.Answer(ticket.Lane, experts.Hidden);
            crossing.Answered = Stopwatch.GetTimestamp();
            if (hasOwn && !late)
                yield return new ExpertShare(own.Batch, ticket.RowsFor(group.Rank), ticket.RowCount, own.Experts!, own.Sums);
            yield break;
        }

        foreach (int rank in sources)
            crossing.From[rank].Await(ticket.Lane, format, experts.Hidden);
        var inbound = sources.Select(rank => crossing.From[rank]).Where(from => from.Batch.Tokens.Count > 0).ToArray();
        if (inbound.Length + (hasOwn ? 1 : 0) > 0)
        {
            var merged = crossing.Merged;
            merged.Reset(format, own.Experts!);
            if (hasOwn)
                merged.Add(own.Batch, ticket.RowsFor(group.Rank), ticket.RowCount);
            foreach (var from in inbound)
                merged.Add(from.Batch, from.Rows, from.Count);
            yield return merged.Share();
            int first = 0;
            if (hasOwn)
                merged.CopySums(ref first, ticket.RowCount, experts.Hidden, own.Sums);
            foreach (var from in inbound)
                merged.CopySums(ref first, from.Count, experts.Hidden, from.Sums);
            foreach (var from in inbound)
                from.Answer(ticket.Lane, experts.Hidden);
        }

        crossing.Answered = Stopwatch.GetTimestamp();
    }

    /// <inheritdoc/>
    public void EndCombine(Pass pass, int layer, ExpertTicket ticket, int hidden, float* y)
    {
        open.Remove(ticket.Lane, out var crossing);
        if (pass.Rows > 0)
        {
            for (int rank = 0; rank < group.Size; rank++)
            {
                var share = ticket.Ranks[rank];
                if (rank != group.Rank)
                    crossing!.To[rank].Finish(ticket.Lane, share.Batch, share.Sums, ticket.RowCount, hidden);
            }

            LocalExchange.Instance.EndCombine(pass, layer, ticket, hidden, y);
        }

        long came = crossing!.From.Max(from => from.CameAt), back = crossing.To.Max(to => to.BackAt);
        ticket.Travel = ticket.Travel with { Sent = crossing.Sent, RowsCame = came, Answered = crossing.Answered, SumsCame = Math.Max(back, crossing.Answered) };

        foreach (var from in crossing.From)
            from.Finish(ticket.Lane);
        free.Push(crossing);
        if (open.Count == 0)
            pass.Work.Team.Between = null;
    }

    /// <summary>Frees the memory of messages that are done.</summary>
    public void Dispose()
    {
        while (free.TryPop(out var crossing))
            crossing.Dispose();
        loadBytes.Dispose();
    }

    private void Progress()
    {
        long now = Stopwatch.GetTimestamp();
        if (now - lastProgress < ProgressTicks)
            return;
        lastProgress = now;
        foreach (var (lane, crossing) in open)
        {
            foreach (var to in crossing.To)
                to.Progress();
            foreach (var from in crossing.From)
                from.Progress(lane);
        }
    }

    /// <summary>A layer's rows on their way to and from the other ranks.</summary>
    private sealed class Crossing(RankGroup group) : IDisposable
    {
        public OutboundRows[] To { get; } = [.. Enumerable.Range(0, group.Size).Select(rank => new OutboundRows(group, rank))];

        public InboundRows[] From { get; } = [.. Enumerable.Range(0, group.Size).Select(rank => new InboundRows(group, rank))];

        public MergedRows Merged { get; } = new();

        // In ticks of a stopwatch.
        public long Sent { get; set; }

        public long Answered { get; set; }

        public void Dispose()
        {
            Array.ForEach(To, rows => rows.Dispose());
            Array.ForEach(From, rows => rows.Dispose());
            Merged.Dispose();
        }
    }
}
