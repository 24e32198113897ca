using DualSparse.Distributed;
using DualSparse.Distributed.Measuring;
using DualSparse.Engine;
using DualSparse.Engine.Moe;

namespace DualSparse.Benchmarking.ExpertParallel;

/// <summary>A layer as one rank has run it: what it did when, and what it has sent.</summary>
/// <param name="Segments">Its time, without gaps.</param>
/// <param name="RowBytes">Bytes sent in the dispatch.</param>
/// <param name="SumBytes">Bytes sent after it.</param>
/// <param name="ExchangeSeconds">The same messages with nothing computed between them.</param>
/// <param name="ExchangeWaitSeconds">What of that were waits.</param>
/// <param name="LoadSeconds">Telling each other loads; 0: nobody did.</param>
internal sealed record RankLane(IReadOnlyList<LaneSegment> Segments, long RowBytes, long SumBytes, double ExchangeSeconds, double ExchangeWaitSeconds, double LoadSeconds = 0)
{
    /// <summary>From the beginning to the last sum.</summary>
    public double Seconds => Segments.Count == 0 ? 0 : Segments[^1].To;

    /// <summary>What of it went into one thing.</summary>
    public double Of(LaneStep step) => Segments.Where(segment => segment.Step == step).Sum(segment => segment.Seconds);

    /// <summary>As numbers, as many on every rank and in every layer.</summary>
    /// <param name="most">The most segments.</param>
    public double[] ToNumbers(int most)
    {
        if (Segments.Count > most)
            throw new InvalidOperationException($"a rank's layer has {Segments.Count} parts, expected at most {most}");
        double[] numbers = new double[Fixed + 3 * most];
        (numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]) = (Segments.Count, RowBytes, SumBytes, ExchangeSeconds, ExchangeWaitSeconds, LoadSeconds);
        for (int i = 0; i < Segments.Count; i++)
            (numbers[Fixed + 3 * i], numbers[Fixed + 3 * i + 1], numbers[Fixed + 3 * i + 2]) = ((int)Segments[i].Step, Segments[i].From, Segments[i].To);
        return numbers;
    }

    /// <summary>From numbers.</summary>
    public static RankLane Read(ReadOnlySpan<double> numbers)
    {
        var segments = new LaneSegment[(int)numbers[0]];
        for (int i = 0; i < segments.Length; i++)
            segments[i] = new((LaneStep)(int)numbers[Fixed + 3 * i], numbers[Fixed + 3 * i + 1], numbers[Fixed + 3 * i + 2]);
        return new RankLane(segments, (long)numbers[1], (long)numbers[2], numbers[3], numbers[4], numbers[5]);
    }

    // Before the segments.
    private const int Fixed = 6;
}

/// <summary>This process as one of several real ranks, each with rows of its own: the engine's layers, exchange and sums.</summary>
internal sealed class RealRanks : IDisposable
{
    private readonly RankGroup group;
    private readonly Rendezvous rendezvous;
    private readonly RankMeeting meeting;
    private readonly LayerRunner runner;

    // A message is waited for at most four times in an all-reduce, and each wait cuts what it interrupts in two.
    private int MostSegments => 32 + 32 * group.Size;

    /// <summary>Makes this rank's weights.</summary>
    public RealRanks(RankGroup group, EpSetting setting, EpRouting routing)
    {
        this.group = group;
        rendezvous = new Rendezvous(group);
        bool slice = setting.IsSlice(group.Size);
        meeting = new RankMeeting(group, new EngineOptions { TrunkParts = slice ? group.Size : 1 });
        var plans = routing.Of(group.Size);
        RoutingPlan[] own = slice ? [.. Enumerable.Range(0, setting.Layers).Select(l => EpRouting.Joined([.. plans.Select(rank => rank[l])]))] : plans[group.Rank];
        runner = new LayerRunner(setting, group.Size, group.Rank, setting.Threads, meeting.Peers, own[0].Tokens);
        runner.Use(own);
        meeting.Exchange?.BeginPass([.. plans.Select(rank => rank[0].Tokens)]);
    }

    /// <summary>What pairs are dropped by from now on, and which rows are marked.</summary>
    public void Use(DropThresholds thresholds, int marked) => runner.Use(thresholds, marked);

    /// <summary>Runs a layer in a variant; all ranks do so together.</summary>
    /// <returns>Rank 0: every rank's times. Another: nothing.</returns>
    public RankLane[] Run(int layer, EpVariant variant)
    {
        group.Waited = runner.Clock.Waited;
        runner.Run(layer, Begin, variant: variant);
        group.Waited = null;
        var lane = new RankLane(runner.Clock.Segments, 0, 0, 0, 0, variant.Balance is null ? 0 : runner.LoadSeconds);
        return [.. rendezvous.Gather(lane.ToNumbers(MostSegments)).Select(numbers => RankLane.Read(numbers))];
    }

    /// <summary>Runs a layer, then its messages alone; all ranks do so together.</summary>
    /// <returns>Rank 0: every rank's times. Another: nothing.</returns>
    public RankLane[] Run(int layer)
    {
        long before = 0, dispatched = 0;
        group.Waited = runner.Clock.Waited;
        runner.Run(layer, () =>
        {
            Begin();
            before = group.SentBytes;
        }, () => dispatched = group.SentBytes);
        long sums = group.SentBytes - dispatched;
        var segments = runner.Clock.Segments;
        runner.Exchange(layer, Begin);
        group.Waited = null;
        var alone = runner.Clock.Segments;
        var lane = new RankLane(segments, dispatched - before, sums, alone[^1].To, alone.Where(s => s.Step == LaneStep.Waiting).Sum(s => s.Seconds));
        return [.. rendezvous.Gather(lane.ToNumbers(MostSegments)).Select(numbers => RankLane.Read(numbers))];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        runner.Dispose();
        meeting.Dispose();
    }

    // Who has waited long sleeps, and wakes late; at the second nobody has.
    private void Begin()
    {
        rendezvous.Barrier();
        rendezvous.Barrier();
    }
}
