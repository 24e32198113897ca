namespace DualSparse.Distributed.Measuring;

/// <summary>
/// EP×TP. There: a row goes to one rank of each group that has one of its experts, the one with the sender's part (all-to-all), which passes it on to
/// the others of its group (all-gather). Back: that rank gets and adds the sums of its group's parts (reduce-scatter), and sends the whole to the
/// row's rank (all-to-all): y = Σ_g (Σ_t s_(g,t)), and for the own group part by part.
/// </summary>
/// <remarks>Each step goes straight to whom it concerns: a ring would carry the same bytes and wait T − 1 times.</remarks>
internal sealed class GroupsThenPartsSide : ExchangeSide
{
    private readonly int[] across;
    private readonly RowBuffer partial, reduced, returned;
    private readonly long[] firstPartial, firstReduced, firstReturned;
    private readonly float[] total, scratch;

    /// <summary>Makes a rank's side.</summary>
    public GroupsThenPartsSide(ShapedRouting routing, RowSets sets, int rank)
        : base(routing, sets, rank)
    {
        (total, scratch) = (new float[Shape.Hidden], new float[Shape.Hidden]);
        across = [.. Receivers().Where(peer => At.PartOf(peer) == Part)];
        int[] within = [.. Receivers().Where(peer => At.GroupOf(peer) == Group)];
        int[] fromAcross = [.. Senders().Where(peer => At.PartOf(peer) == Part)], fromWithin = [.. Senders().Where(peer => At.GroupOf(peer) == Group)];
        long count = Sets.CountOfPart(Part, Group), sent = 0, back = 0;
        (firstPartial, firstReduced, firstReturned) = (new long[At.Parts], new long[At.Groups], new long[At.Groups]);
        for (int i = 0; i < within.Length; i++)
            firstPartial[At.PartOf(within[i])] = i * count;
        foreach (int peer in across)
        {
            (firstReduced[At.GroupOf(peer)], firstReturned[At.GroupOf(peer)]) = (sent, back);
            sent += Sets.Count(peer, Group);
            back += Sets.Count(Rank, At.GroupOf(peer));
        }

        partial = new RowBuffer(Shape.SumBytes, within.Length * count);
        reduced = new RowBuffer(Shape.SumBytes, sent);
        returned = new RowBuffer(Shape.SumBytes, back);
        Dispatch =
        [
            new ExchangeStage(Pack, [.. across.SelectMany(SendRows)], [.. fromAcross.SelectMany(ReceiveRows)]),
            new ExchangeStage(() => { }, [.. within.SelectMany(peer => PassRows(peer, StepTo(peer), Part))], [.. fromWithin.SelectMany(peer => PassRows(peer, StepFrom(peer), At.PartOf(peer)))]),
        ];
        Combine =
        [
            new ExchangeStage(
                () => { },
                [.. within.SelectMany(peer => Sums.Block(peer, StepTo(peer), Sets.FirstOfPart(At.PartOf(peer), Group), Sets.CountOfPart(At.PartOf(peer), Group)))],
                [.. fromWithin.SelectMany(peer => partial.Block(peer, StepFrom(peer), firstPartial[At.PartOf(peer)], count))]),
            new ExchangeStage(
                Reduce,
                [.. across.SelectMany(SendReduced)],
                [.. fromAcross.SelectMany(peer => returned.Block(peer, StepFrom(peer), firstReturned[At.GroupOf(peer)], Sets.Count(Rank, At.GroupOf(peer))))]),
            new ExchangeStage(Add, [], []),
        ];
    }

    /// <inheritdoc/>
    public override IReadOnlyList<ExchangeStage> Dispatch { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<ExchangeStage> Combine { get; }

    /// <inheritdoc/>
    public override void Poison()
    {
        base.Poison();
        foreach (var buffer in new[] { partial, reduced, returned })
            buffer.Poison();
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        foreach (var buffer in new[] { partial, reduced, returned })
            buffer.Dispose();
    }

    // Of one part there is nothing to add.
    private IEnumerable<Transfer> SendReduced(int peer) => At.Parts == 1
        ? Sums.Block(peer, StepTo(peer), Sets.First(peer, Group), Sets.Count(peer, Group))
        : reduced.Block(peer, StepTo(peer), firstReduced[At.GroupOf(peer)], Sets.Count(peer, Group));

    // What goes to others first; the own rows' sums are added once those are on their way.
    private void Reduce()
    {
        if (At.Parts == 1)
            return;
        foreach (int peer in across)
        {
            for (int row = 0; row < Sets.Count(peer, Group); row++)
            {
                Array.Clear(total);
                for (int part = 0; part < At.Parts; part++)
                    SumRows.Add(Shape.Sums, OfPart(part, peer).Rows[OfPart(part, peer).First + row], total, scratch);
                Shape.Sums.Encode(total, reduced[firstReduced[At.GroupOf(peer)] + row]);
            }
        }
    }

    private void Add()
    {
        ClearResult();
        for (int group = 0; group < At.Groups; group++)
        {
            if (group != Group)
            {
                AddToResult(returned, firstReturned[group], group);
                continue;
            }

            for (int part = 0; part < At.Parts; part++)
                AddToResult(OfPart(part, Rank).Rows, OfPart(part, Rank).First, Group);
        }
    }

    // A part's sums of a rank's rows.
    private (RowBuffer Rows, long First) OfPart(int part, int source) => part == Part
        ? (Sums, Sets.First(source, Group))
        : (partial, firstPartial[part] + Sets.First(source, Group) - Sets.FirstOfPart(Part, Group));
}
