using System.Diagnostics;
using DualSparse.Distributed;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Engine.Ranks;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;

namespace DualSparse.Benchmarking.ExpertParallel;

/// <summary>Does the work of each of several ranks, one after another, with the engine's own lists, messages and products, and times it.</summary>
internal sealed unsafe class VirtualMeasurement : IDisposable
{
    private readonly EpSetting setting;
    private readonly int ranks;
    private readonly RoutingPlan[][] plans;
    private readonly PackedExperts[] experts;
    private readonly bool ownsExperts;
    private readonly DenseMlp? shared;
    private readonly ThreadTeam team;
    private readonly Workspace work;
    private readonly Pass pass;
    private readonly AlignedBuffer input, output, parts;
    private readonly ActivationRows encoded = new(), lowEncoded = new(), received = new();
    private readonly LowExperts low = new();
    private readonly ExpertBatch batch = new(), there = new();
    private readonly ScratchBuffer sums = new();

    /// <summary>Makes ready.</summary>
    /// <param name="setting">Shape, placement, threads of a rank.</param>
    /// <param name="ranks">N.</param>
    /// <param name="routing">Where their rows go.</param>
    /// <param name="whole">[layers] whole experts, which ranks that have whole ones use in turn; null: there are none yet.</param>
    public VirtualMeasurement(EpSetting setting, int ranks, EpRouting routing, PackedExperts[]? whole)
    {
        (this.setting, this.ranks, plans) = (setting, ranks, routing.Of(ranks));
        var shape = setting.Shape;
        int cut = setting.PartsOf(ranks), sharedNeurons = shape.SharedNeurons;
        if (IsSlice && sharedNeurons > 0)
            sharedNeurons = TrunkCut.Neurons(new CutPart(0, ranks), sharedNeurons).Count;
        ownsExperts = cut > 1 || whole is null;
        // Every rank's experts have memory of their own: none finds another's in a cache.
        experts = ownsExperts ? [RandomExperts.Make(setting.Weights, shape.Experts * cut, shape.Hidden, shape.Neurons / cut, seed: 1)] : whole!;
        shared = sharedNeurons == 0 ? null : new DenseMlp([RandomExperts.Make(setting.Weights, 1, shape.Hidden, sharedNeurons, 100)]);
        team = new ThreadTeam(setting.Threads);
        work = new Workspace(team, KernelSet.Best());
        pass = new Pass(1, shape.Hidden, epsilon: 1e-5f, work);
        nuint bytes = (nuint)Rows * (nuint)shape.Hidden * sizeof(float);
        (input, output) = (new AlignedBuffer(bytes), new AlignedBuffer(bytes));
        parts = new AlignedBuffer((nuint)ranks * (nuint)AddedRows * (nuint)shape.Hidden * sizeof(float));
        foreach (var of in experts)
            of.MeasureOutputs(team);
        var random = new Random(7);
        foreach (ref float x in input.AsSpan<float>())
            x = random.NextSingle() * 2 - 1;
        pass.Begin([new Segment(null!, 0, Rows)], watch: null);
    }

    /// <summary>The plans of all ranks.</summary>
    public RoutingPlan[][] Plans => plans;

    private bool IsSlice => setting.IsSlice(ranks);

    // What each rank has.
    private int Rows => IsSlice ? ranks * setting.Tokens : setting.Tokens;

    // Of a slice's rows each rank adds up its share.
    private int AddedRows => IsSlice ? (Rows + ranks - 1) / ranks : Rows;

    /// <summary>Measures a layer and predicts its time.</summary>
    public VirtualTime Run(int layer, VirtualLink link)
    {
        var placement = setting.Placement(ranks, layer);
        if (!IsSlice)
            return VirtualRanks.Rows(RowWork(layer, placement), link);
        long bytes = Enumerable.Range(0, ranks).Max(rank => EpBytes.AllReduce(rank, ranks, Rows, setting.Shape.Hidden, RankCollective.ShareFrom));
        bool inShares = Rows >= ranks && EpBytes.Sums(Rows, setting.Shape.Hidden) >= RankCollective.ShareFrom;
        // A large one is two steps, each with half of the bytes.
        double[] steps = inShares ? [bytes / 2.0, bytes / 2.0] : [bytes];
        return VirtualRanks.Slices(SliceWork(layer, placement), shared is null ? steps : [.. steps, .. steps], link);
    }

    /// <summary>Does a layer's work as ranks have decided on it.</summary>
    public VirtualWork Run(int layer, EpDecision decision) => RowWork(layer, decision.Placement, decision);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (ownsExperts)
            Array.ForEach(experts, e => e.Dispose());
        shared?.Dispose();
        pass.Dispose();
        work.Dispose();
        team.Dispose();
        foreach (var thing in new IDisposable[] { input, output, parts, encoded, lowEncoded, received, low, sums })
            thing.Dispose();
    }

    private VirtualWork RowWork(int layer, ExpertPlacement placement, EpDecision? decision = null)
    {
        RoutingPlan[] rowsOf = decision?.Plans ?? [.. plans.Select(rank => rank[layer])];
        bool[] isLow = decision is { Low.Length: > 0 } ? decision.Low : new bool[ranks];
        var own = experts[layer % experts.Length];
        bool together = ranks * setting.Tokens <= AllToAllExchange.FewRows;
        var found = Empty(together);
        var messages = Enumerable.Range(0, ranks).Select(_ => new ShareMessage()).ToArray();
        var merged = new MergedRows();
        for (int rank = 0; rank < ranks; rank++)
        {
            found.Dispatch[rank] += Timed(() =>
            {
                if (Array.Exists(isLow, r => !r))
                    Encode();
                if (Array.Exists(isLow, r => r))
                    LowPrecision.Encode(work, LowFormat.Int8, (float*)input.Pointer, Rows, setting.Shape.Hidden, lowEncoded);
            });
        }

        for (int rank = 0; rank < ranks; rank++)
        {
            var read = own;
            var sent = isLow[rank] ? lowEncoded : encoded;
            if (isLow[rank])
            {
                int[] its = placement.PartsOf(rank);
                bool[] used = [.. its.Select(part => decision!.Used[part])];
                double converting = Timed(() => low.Convert(work, own, its, used, LowFormat.Int8));
                found.Convert[rank] = decision!.KeepsConverted ? 0 : converting;
                read = low.Experts;
            }

            merged.Reset(sent.Format, read);
            List<ExpertBatch> batches = [];
            List<ActivationRows> rows = [];
            for (int step = 0; step < ranks; step++)
            {
                int from = (rank + step) % ranks, to = rank;
                var message = messages[from];
                found.Dispatch[from] += Timed(() =>
                {
                    RowLists.Build(rowsOf[from], placement, to, batch, ownIndex: isLow[to]);
                    if (from != to)
                        message.Pack(batch, sent, setting.Tokens, setting.Shape.Hidden);
                });
                if (from == to && !together)
                {
                    found.Experts[to][to] += batch.Tokens.Count == 0 ? 0 : Timed(() => Compute(read, batch, sent, setting.Tokens));
                    continue;
                }

                if (from != to)
                {
                    found.RowBytes[from][to] = message.Header.Bytes;
                    found.SumBytes[to][from] = EpBytes.Sums(message.Header.Rows, setting.Shape.Hidden);
                }

                if (together)
                    found.Experts[to][to] += Timed(() => Merge(from == to));
                else
                    found.Experts[to][from] += Timed(Unpack) + (there.Tokens.Count == 0 ? 0 : Timed(() => Compute(read, there, received, message.Header.Rows)));

                void Unpack() => message.Unpack(there, received, sent.Format, setting.Shape.Hidden);

                void Merge(bool mine)
                {
                    var theirs = new ExpertBatch();
                    var copy = new ActivationRows();
                    rows.Add(copy);
                    batches.Add(theirs);
                    if (mine)
                        RowLists.Build(rowsOf[from], placement, to, theirs, ownIndex: isLow[to]);
                    else
                        message.Unpack(theirs, copy, sent.Format, setting.Shape.Hidden);
                    if (theirs.Tokens.Count > 0)
                        merged.Add(theirs, mine ? sent : copy, mine ? setting.Tokens : message.Header.Rows);
                }
            }

            if (together && batches.Exists(b => b.Tokens.Count > 0))
            {
                found.Experts[rank][rank] += Timed(() =>
                {
                    var share = merged.Share();
                    Compute(share.Experts, share.Batch, share.Rows, share.Count);
                });
            }

            rows.ForEach(r => r.Dispose());
            found.Shared[rank] += Timed(Shared);
            found.Combine[rank] += Timed(Combine);
        }

        Array.ForEach(messages, message => message.Dispose());
        merged.Dispose();
        return found;
    }

    private VirtualWork SliceWork(int layer, ExpertPlacement placement)
    {
        var found = Empty(together: false);
        var all = EpRouting.Joined([.. plans.Select(rank => rank[layer])]);
        for (int rank = 0; rank < ranks; rank++)
        {
            int part = rank;
            found.Dispatch[rank] = Timed(() =>
            {
                Encode();
                RowLists.Build(all, placement, part, batch);
            });
            found.Experts[rank][rank] = Timed(() => Compute(experts[layer % experts.Length], batch, encoded, Rows));
            found.Shared[rank] = Timed(Shared);
            found.Combine[rank] = Timed(() => Add(new CutPart(part, ranks).Range(Rows).Count));
        }

        return found;
    }

    private VirtualWork Empty(bool together) => new(
        new double[ranks], Square<double>(), new double[ranks], new double[ranks], Square<long>(), Square<long>(), together);

    private T[][] Square<T>() => [.. Enumerable.Range(0, ranks).Select(_ => new T[ranks])];

    private static double Timed(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private void Encode() => GroupedGemm.Encode(work, experts[0], (float*)input.Pointer, Rows, encoded);

    private void Compute(PackedExperts with, ExpertBatch rows, ActivationRows from, int count) =>
        GroupedGemm.Forward(work, with, rows, from, count, sums.Floats((nint)count * setting.Shape.Hidden), add: false);

    private void Shared() => shared?.Forward(pass, (float*)input.Pointer, (float*)output.Pointer);

    // Each other rank's sums are spread over all rows, then all are added.
    private void Combine()
    {
        int values = Rows * setting.Shape.Hidden;
        for (int rank = 1; rank < ranks; rank++)
        {
            var target = new Span<float>((float*)parts.Pointer + (nint)rank * values, values);
            target.Clear();
            input.AsSpan<float>().CopyTo(target);
        }

        Add(Rows);
    }

    private void Add(int rows)
    {
        nint values = (nint)AddedRows * setting.Shape.Hidden;
        nint[] all = [.. Enumerable.Range(0, ranks).Select(rank => (nint)((float*)parts.Pointer + rank * values))];
        LocalCollective.Instance.AllReduce(pass, all, rows, setting.Shape.Hidden, (float*)output.Pointer);
    }
}
