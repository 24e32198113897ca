using System.Diagnostics;

namespace DualSparse.Engine.Moe.Overlap;

/// <summary>A time that an operator computes, or waits for other ranks.</summary>
/// <param name="Step">The operator.</param>
/// <param name="Waiting">Whether it waits.</param>
/// <param name="From">In ticks of <see cref="Stopwatch"/>.</param>
/// <param name="To">The end.</param>
internal readonly record struct OperatorSpan(Operator Step, bool Waiting, long From, long To);

/// <summary>When a layer's rows were on their way, in ticks of <see cref="Stopwatch"/>; 0: never. An arrival is seen when messages are asked for.</summary>
/// <param name="Lane">Whose rows.</param>
/// <param name="Sent">They were sent.</param>
/// <param name="RowsCame">Those of all other ranks were here.</param>
/// <param name="Answered">The last sums of these were sent back.</param>
/// <param name="SumsCame">All own sums were here.</param>
/// <param name="OwnTicks">What the experts here took for rows of this rank, that never travelled.</param>
internal readonly record struct TravelTimes(ExpertLane Lane, long Sent, long RowsCame, long Answered, long SumsCame, long OwnTicks);

/// <summary>What the operators of a pass take, and what its rows do meanwhile.</summary>
internal sealed class OperatorClock
{
    private readonly List<OperatorSpan> spans = [];
    private readonly List<TravelTimes> travels = [];
    private Operator running;
    private long since;
    private bool isRunning;

    /// <summary>Whether sums are sent together once all are computed, so that their way is seen by itself.</summary>
    public bool SumsTogether { get; init; }

    /// <summary>The operators' times, in order and without gaps.</summary>
    public IReadOnlyList<OperatorSpan> Spans => spans;

    /// <summary>The rows' ways, in the order of their ends.</summary>
    public IReadOnlyList<TravelTimes> Travels => travels;

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        spans.Clear();
        travels.Clear();
        isRunning = false;
    }

    /// <summary>The operator that runs; null: none does.</summary>
    public Operator? Running => isRunning ? running : null;

    /// <summary>An operator begins, the one before has ended.</summary>
    public void Begin(Operator step)
    {
        Cut(Stopwatch.GetTimestamp());
        (running, isRunning) = (step, true);
    }

    /// <summary>The operator that runs has waited.</summary>
    public void Waited(long from, long to)
    {
        if (!isRunning)
            return;
        Cut(from);
        spans.Add(new OperatorSpan(running, Waiting: true, from, to));
        since = to;
    }

    /// <summary>A layer's rows have been there and back.</summary>
    public void Travelled(TravelTimes times) => travels.Add(times);

    /// <summary>The last operator has ended.</summary>
    public void End()
    {
        Cut(Stopwatch.GetTimestamp());
        isRunning = false;
    }

    private void Cut(long now)
    {
        if (isRunning)
            spans.Add(new OperatorSpan(running, Waiting: false, since, now));
        since = now;
    }
}
