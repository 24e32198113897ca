using System.Diagnostics;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Engine.Moe.Overlap;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
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

    /// <summary>Whether something is computed while rows travel; else dispatch waits for all rows and the experts for all sums, to compare with.</summary>
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
        pass.Work.Team.Between = group.Between = Progress;
        if (pass.Clock is { } clock)
            group.Waited = clock.Waited;
        for (int rank = 0; rank < group.Size; rank++)
        {
            crossing.Open(rank, rank == group.Rank || pass.Rows == 0 ? 0 : RowChunks.Of(pass.Rows), rank == group.Rank || rowsOf[rank] == 0 ? 0 : RowChunks.Of(rowsOf[rank]));
            foreach (var from in crossing.From[rank])
                from.Expect(ticket.Lane);
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
                var to = crossing.To[rank];
                for (int chunk = 0; chunk < to.Count; chunk++)
                {
                    var part = batch;
                    if (to.Count > 1)
                        (part = to[chunk].Part).SetTokens(batch, RowChunks.First(pass.Rows, chunk), RowChunks.First(pass.Rows, chunk + 1));
                    to[chunk].Pack(ticket.Lane, part, ticket.RowsFor(rank), pass.Rows, experts.Hidden);
                    if (chunk == 0)
                        to[chunk].Send(ticket.Lane);
                }
            }
        }

        crossing.Sent = Stopwatch.GetTimestamp();
        if (!Overlaps)
            AwaitRows(crossing, ticket, ticket.FormFor(pass.Work, experts, group.Rank), experts.Hidden);
        // And while experts are converted, where this rank has switched.
        ticket.PrepareExperts(pass.Work, experts, placement, group.Rank, ticket.Ranks[group.Rank], ownIndex: true);
    }

    /// <inheritdoc/>
    public IEnumerable<ExpertShare> Receive(Pass pass, int layer, ExpertTicket ticket, PackedExperts experts)
    {
        var crossing = open[ticket.Lane];
        var share = ticket.Ranks[group.Rank];
        var format = ticket.FormFor(pass.Work, experts, group.Rank);
        ExpertShare[] own = pass.Rows > 0 && share.Batch.Tokens.Count > 0 ? [new(share.Batch, ticket.RowsFor(group.Rank), ticket.RowCount, share.Experts!, share.Sums)] : [];
        List<Queue<InboundRows>> sources = [.. Enumerable.Range(1, group.Size - 1).Select(step => new Queue<InboundRows>(crossing.From[(group.Rank + step) % group.Size])).Where(source => source.Count > 0)];
        bool together = rowsOf.Sum() <= FewRows && sources.Count + own.Length > 1;
        List<InboundRows> computed = [];
        if (together)
        {
            AwaitRows(crossing, ticket, format, experts.Hidden);
            computed = Filled(sources.SelectMany(source => source));
            foreach (var merged in Merged([.. own, .. computed.Select(Share)]))
                yield return merged;
            sources.Clear();
        }

        Queue<ExpertShare> parts = new(together ? [] : own.Length == 0 ? own : crossing.PartsOf(own[0]));
        while (sources.Count + parts.Count > 0)
        {
            // What has come goes first: its sums travel while own rows are computed.
            if ((Overlaps || parts.Count == 0) && sources.Find(source => source.Peek().HasCome(ticket.Lane)) is { } source)
            {
                List<InboundRows> come = [];
                while (source.TryPeek(out var next) && next.HasCome(ticket.Lane))
                    come.Add(source.Dequeue());
                if (source.Count == 0)
                    sources.Remove(source);
                come.ForEach(Await);
                come = Filled(come);
                foreach (var merged in Merged([.. come.Select(Share)]))
                    yield return merged;
                computed.AddRange(come);
                if (Overlaps && pass.Clock?.SumsTogether != true)
                    Answer();
            }
            else if (parts.TryDequeue(out var part))
            {
                yield return part;
            }
            else
            {
                Await(sources[0].Peek());
            }
        }

        Answer();
        if (!Overlaps)
            AwaitSums(crossing, ticket.Lane);

        ExpertShare Share(InboundRows from) => new(from.Batch, from.Rows, from.Count, share.Experts!, from.Sums);

        void Await(InboundRows from) => from.Await(ticket.Lane, format, experts.Hidden);

        static List<InboundRows> Filled(IEnumerable<InboundRows> all) => [.. all.Where(from => from.Batch.Tokens.Count > 0)];

        IEnumerable<ExpertShare> Merged(List<ExpertShare> shares)
        {
            if (shares.Count == 1)
                yield return shares[0];
            if (shares.Count <= 1)
                yield break;
            var merged = crossing.Merged;
            merged.Reset(format, share.Experts!);
            shares.ForEach(each => merged.Add(each.Batch, each.Rows, each.Count));
            yield return merged.Share();
            int first = 0;
            shares.ForEach(each => merged.CopySums(ref first, each.Count, experts.Hidden, each.Sums));
        }

        void Answer()
        {
            computed.ForEach(from => from.Answer(ticket.Lane, experts.Hidden));
            computed.Clear();
            crossing.Answered = Stopwatch.GetTimestamp();
        }
    }

    /// <inheritdoc/>
    public void EndCombine(Pass pass, int layer, ExpertTicket ticket, int hidden, float* y)
    {
        var crossing = open[ticket.Lane];
        SendAll(crossing, ticket.Lane);
        for (int rank = 0; rank < group.Size; rank++)
        {
            var share = ticket.Ranks[rank];
            var to = crossing.To[rank];
            float* sums = to.Count > 0 && share.Batch.Tokens.Count > 0 ? share.Sums.Floats((nint)ticket.RowCount * hidden) : null;
            for (int chunk = 0; chunk < to.Count; chunk++)
                to[chunk].Finish(ticket.Lane, sums, RowChunks.First(ticket.RowCount, chunk), RowChunks.First(ticket.RowCount, chunk + 1), hidden);
        }

        if (pass.Rows > 0)
            LocalExchange.Instance.EndCombine(pass, layer, ticket, hidden, y);
        long came = Last(crossing.From, from => from.CameAt), back = Last(crossing.To, to => to.BackAt);
        ticket.Travel = ticket.Travel with { Sent = crossing.Sent, RowsCame = came, Answered = crossing.Answered, SumsCame = Math.Max(back, crossing.Answered) };
        foreach (var from in crossing.From.SelectMany(from => from))
            from.Finish(ticket.Lane);
        open.Remove(ticket.Lane);
        free.Push(crossing);
        if (open.Count == 0)
            pass.Work.Team.Between = group.Between = null;

        static long Last<T>(List<T>[] pieces, Func<T, long> at) => pieces.SelectMany(of => of).Select(at).DefaultIfEmpty().Max();
    }

    private static void AwaitRows(Crossing crossing, ExpertTicket ticket, ActivationFormat format, int hidden)
    {
        SendAll(crossing, ticket.Lane);
        foreach (var from in crossing.From.SelectMany(from => from))
            from.Await(ticket.Lane, format, hidden);
    }

    private static void AwaitSums(Crossing crossing, ExpertLane lane)
    {
        foreach (var to in crossing.To.SelectMany(to => to))
            to.AwaitSums(lane);
    }

    // What has not been begun while something was computed.
    private static void SendAll(Crossing crossing, ExpertLane lane)
    {
        foreach (var to in crossing.To)
        {
            for (int piece = 1; piece < to.Count; piece++)
            {
                to[piece - 1].Leave(lane);
                if (!to[piece].IsSent)
                    to[piece].Send(lane);
            }
        }
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
                Progress(lane, to);
            // A piece is looked for once the one before is here.
            foreach (var from in crossing.From)
                _ = from.TrueForAll(piece => piece.Progress(lane));
        }
    }

    // The next piece is sent when the one before has left: MPI would send both at once, and neither would come first.
    private static void Progress(ExpertLane lane, List<OutboundRows> pieces)
    {
        bool left = false;
        foreach (var piece in pieces)
        {
            if (left && !piece.IsSent)
                piece.Send(lane);
            left = piece.Progress();
        }
    }

    /// <summary>A layer's rows on their way to and from the other ranks.</summary>
    private sealed class Crossing(RankGroup group) : IDisposable
    {
        private readonly List<OutboundRows>[] sent = Lists<OutboundRows>(group.Size);
        private readonly List<InboundRows>[] received = Lists<InboundRows>(group.Size);
        private readonly List<ExpertBatch> ownParts = [];

        // By rank, in pieces.
        public List<OutboundRows>[] To { get; } = Lists<OutboundRows>(group.Size);

        public List<InboundRows>[] From { get; } = Lists<InboundRows>(group.Size);

        public MergedRows Merged { get; } = new();

        // In ticks of a stopwatch.
        public long Sent { get; set; }

        public long Answered { get; set; }

        // As many pieces go to a rank and come from it.
        public void Open(int rank, int to, int from)
        {
            Take(To[rank], sent[rank], to, () => new OutboundRows(group, rank));
            Take(From[rank], received[rank], from, () => new InboundRows(group, rank));
        }

        // The own share by experts: none is read twice.
        public IEnumerable<ExpertShare> PartsOf(ExpertShare own)
        {
            int count = Math.Min(RowChunks.Of(own.Count), own.Batch.Experts.Count), first = 0;
            for (int part = 0; part < count; part++)
            {
                int end = part + 1 == count ? own.Batch.Experts.Count : Math.Max(first + 1, own.Batch.Experts.FindIndex(expert => expert.First + expert.Count >= (part + 1) * own.Batch.Tokens.Count / count) + 1);
                end = Math.Min(end, own.Batch.Experts.Count - (count - 1 - part));
                if (ownParts.Count == part)
                    ownParts.Add(new ExpertBatch());
                ownParts[part].SetExperts(own.Batch, first, end);
                yield return own with { Batch = ownParts[part], GoesOn = part > 0 };
                first = end;
            }
        }

        public void Dispose()
        {
            foreach (var rows in sent.SelectMany(of => of))
                rows.Dispose();
            foreach (var rows in received.SelectMany(of => of))
                rows.Dispose();
            Merged.Dispose();
        }

        private static List<T>[] Lists<T>(int count) => [.. Enumerable.Range(0, count).Select(_ => new List<T>())];

        private static void Take<T>(List<T> taken, List<T> known, int count, Func<T> create)
        {
            while (known.Count < count)
                known.Add(create());
            taken.Clear();
            taken.AddRange(known.Take(count));
        }
    }
}
