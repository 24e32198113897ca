namespace DualSparse.Distributed.Measuring;

/// <summary>
/// One rank's side of an exchange: its own rows, what it receives for its experts, their sums, and what comes back. Both schemes keep rows and sums of
/// a rank in one order, that of <see cref="RowSets"/>; the own share is written where it would arrive, and never sent.
/// </summary>
internal abstract class ExchangeSide : IDisposable
{
    private readonly ShapedRouting routing;
    private readonly float[] x, y, scratch;
    private readonly RowBuffer rows, received;
    private readonly RowBuffer?[] packed;

    /// <summary>Makes the memory.</summary>
    protected ExchangeSide(ShapedRouting routing, RowSets sets, int rank)
    {
        (this.routing, Sets, At, Rank) = (routing, sets, sets.Arrangement, rank);
        (Group, Part) = (At.GroupOf(rank), At.PartOf(rank));
        x = StandIn.Rows(Shape, rank);
        y = new float[x.Length];
        scratch = new float[Shape.Hidden];
        rows = new RowBuffer(Shape.RowBytes, Shape.Tokens);
        for (int token = 0; token < Shape.Tokens; token++)
            StandIn.Write(routing, rank, token, x.AsSpan(token * Shape.Hidden, Shape.Hidden), rows[token]);
        received = new RowBuffer(Shape.RowBytes, sets.Total(Group));
        Sums = new RowBuffer(Shape.SumBytes, sets.Total(Group));
        packed = [.. Enumerable.Range(0, At.Groups).Select(group => group == Group ? null : new RowBuffer(Shape.RowBytes, sets.Count(rank, group)))];
    }

    /// <summary>From encoded rows to where their experts are.</summary>
    public abstract IReadOnlyList<ExchangeStage> Dispatch { get; }

    /// <summary>From each rank's sums to those of the own rows.</summary>
    public abstract IReadOnlyList<ExchangeStage> Combine { get; }

    /// <summary>What is exchanged.</summary>
    protected ExchangeShape Shape => routing.Shape;

    /// <summary>Which rows go where.</summary>
    protected RowSets Sets { get; }

    /// <summary>Where experts are.</summary>
    protected ExpertArrangement At { get; }

    /// <summary>This rank.</summary>
    protected int Rank { get; }

    /// <summary>Its group.</summary>
    protected int Group { get; }

    /// <summary>Its part.</summary>
    protected int Part { get; }

    /// <summary>Its sums of all rows of its group.</summary>
    protected RowBuffer Sums { get; }

    /// <summary>Before a round: nothing of the round before is left to be taken for what didn't come.</summary>
    public virtual void Poison()
    {
        received.Poison();
        Sums.Poison();
        Array.ForEach(packed, buffer => buffer?.Poison());
    }

    /// <summary>Between dispatch and combine: the sums, by what stands in for experts.</summary>
    public void Compute()
    {
        for (long row = 0, all = Sets.Total(Group); row < all; row++)
            StandIn.Compute(Shape, At, Rank, received[row], scratch, Sums[row]);
    }

    /// <summary>After a round: compares the result with what one process computes, and gives the largest relative difference.</summary>
    /// <exception cref="InvalidDataException">It differs by more than rounding.</exception>
    public double Check() => StandIn.Check(routing, At, Rank, x, y);

    /// <inheritdoc/>
    public virtual void Dispose()
    {
        rows.Dispose();
        received.Dispose();
        Sums.Dispose();
        Array.ForEach(packed, buffer => buffer?.Dispose());
    }

    /// <summary>All ranks but this one, in the order in which it sends to them.</summary>
    protected IEnumerable<int> Receivers() => Others().OrderBy(StepTo);

    /// <summary>All ranks but this one, in the order in which they send to it.</summary>
    protected IEnumerable<int> Senders() => Others().OrderBy(StepFrom);

    /// <summary>When this rank sends to another.</summary>
    protected int StepTo(int peer) => At.StepOf(Rank, peer);

    /// <summary>When another sends to this one.</summary>
    protected int StepFrom(int peer) => At.StepOf(peer, Rank);

    /// <summary>Puts the rows for each group side by side, the own group's where they would arrive.</summary>
    protected void Pack()
    {
        for (int group = 0; group < At.Groups; group++)
        {
            var tokens = Sets.Tokens(Rank, group);
            for (int i = 0; i < tokens.Length; i++)
                rows[tokens[i]].CopyTo(group == Group ? received[Sets.First(Rank, Group) + i] : packed[group]![i]);
        }
    }

    /// <summary>The own rows for a rank's group, on their way to it.</summary>
    protected IEnumerable<Transfer> SendRows(int to)
    {
        int group = At.GroupOf(to), count = Sets.Count(Rank, group);
        return group == Group ? received.Block(to, StepTo(to), Sets.First(Rank, Group), count) : packed[group]!.Block(to, StepTo(to), 0, count);
    }

    /// <summary>A rank's own rows for this one's group.</summary>
    protected IEnumerable<Transfer> ReceiveRows(int from) => received.Block(from, StepFrom(from), Sets.First(from, Group), Sets.Count(from, Group));

    /// <summary>All rows of those ranks that have a part, sent to or received from a rank of the own group.</summary>
    protected IEnumerable<Transfer> PassRows(int peer, int step, int part) => received.Block(peer, step, Sets.FirstOfPart(part, Group), Sets.CountOfPart(part, Group));

    private IEnumerable<int> Others() => Enumerable.Range(0, At.Ranks).Where(peer => peer != Rank);

    /// <summary>Begins the result.</summary>
    protected void ClearResult() => Array.Clear(y);

    /// <summary>Adds sums of the own rows that have a group's experts.</summary>
    /// <param name="sums">Where they are.</param>
    /// <param name="first">The first of them.</param>
    /// <param name="group">The group.</param>
    protected void AddToResult(RowBuffer sums, long first, int group)
    {
        var tokens = Sets.Tokens(Rank, group);
        for (int i = 0; i < tokens.Length; i++)
            SumRows.Add(Shape.Sums, sums[first + i], y.AsSpan(tokens[i] * Shape.Hidden, Shape.Hidden), scratch);
    }
}
