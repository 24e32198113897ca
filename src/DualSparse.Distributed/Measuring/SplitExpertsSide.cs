namespace DualSparse.Distributed.Measuring;

/// <summary>
/// S-ETP: expert parallelism over parts. A row goes straight to every rank that has a part of one of its experts, and each of them sends its sum
/// straight back: y = Σ_q s_q, in the order of ranks.
/// </summary>
internal sealed class SplitExpertsSide : ExchangeSide
{
    private readonly RowBuffer returned;
    private readonly long[] firstReturned;

    /// <summary>Makes a rank's side.</summary>
    public SplitExpertsSide(ShapedRouting routing, RowSets sets, int rank)
        : base(routing, sets, rank)
    {
        firstReturned = new long[At.Ranks];
        long count = 0;
        foreach (int peer in Senders())
        {
            firstReturned[peer] = count;
            count += Sets.Count(Rank, At.GroupOf(peer));
        }

        returned = new RowBuffer(Shape.SumBytes, count);
        Dispatch = [new ExchangeStage(Pack, [.. Receivers().SelectMany(SendRows)], [.. Senders().SelectMany(ReceiveRows)])];
        Combine =
        [
            new ExchangeStage(
                () => { },
                [.. Receivers().SelectMany(peer => Sums.Block(peer, StepTo(peer), Sets.First(peer, Group), Sets.Count(peer, Group)))],
                [.. Senders().SelectMany(peer => returned.Block(peer, StepFrom(peer), firstReturned[peer], Sets.Count(Rank, At.GroupOf(peer))))]),
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
        returned.Poison();
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        returned.Dispose();
    }

    private void Add()
    {
        ClearResult();
        for (int peer = 0; peer < At.Ranks; peer++)
        {
            if (peer == Rank)
                AddToResult(Sums, Sets.First(Rank, Group), Group);
            else
                AddToResult(returned, firstReturned[peer], At.GroupOf(peer));
        }
    }
}
