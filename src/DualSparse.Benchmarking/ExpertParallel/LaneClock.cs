using System.Diagnostics;

namespace DualSparse.Benchmarking.ExpertParallel;

/// <summary>What a rank does at a time.</summary>
internal enum LaneStep
{
    /// <summary>Encodes rows, makes lists, packs and unpacks messages.</summary>
    Dispatch,

    /// <summary>Its experts' products.</summary>
    Experts,

    /// <summary>The shared experts.</summary>
    Shared,

    /// <summary>Adds up sums.</summary>
    Combine,

    /// <summary>Waits for messages.</summary>
    Waiting,
}

/// <summary>A time that a rank spends on one thing.</summary>
/// <param name="Step">On what.</param>
/// <param name="From">Seconds since the layer began.</param>
/// <param name="To">The end.</param>
internal readonly record struct LaneSegment(LaneStep Step, double From, double To)
{
    /// <summary>How long.</summary>
    public double Seconds => To - From;
}

/// <summary>Cuts a rank's time in a layer into what it does: without gaps, without overlap.</summary>
internal sealed class LaneClock
{
    private readonly List<(LaneStep Step, long From, long To)> cuts = [];
    private LaneStep step;
    private long began, since;
    private bool running;

    /// <summary>The times of the last layer.</summary>
    public IReadOnlyList<LaneSegment> Segments => [.. cuts.Select(cut => new LaneSegment(cut.Step, Seconds(cut.From), Seconds(cut.To)))];

    /// <summary>Begins a layer.</summary>
    public void Start(LaneStep first)
    {
        cuts.Clear();
        (step, running, began) = (first, true, Stopwatch.GetTimestamp());
        since = began;
    }

    /// <summary>From here on it does something else.</summary>
    public void Switch(LaneStep next)
    {
        Close(Stopwatch.GetTimestamp());
        step = next;
    }

    /// <summary>It has waited, in ticks of <see cref="Stopwatch"/>.</summary>
    public void Waited(long from, long to)
    {
        if (!running)
            return;
        Close(from);
        Add(LaneStep.Waiting, from, to);
        since = to;
    }

    /// <summary>Ends the layer.</summary>
    public void Stop()
    {
        Close(Stopwatch.GetTimestamp());
        running = false;
    }

    private void Close(long now)
    {
        Add(step, since, now);
        since = now;
    }

    // What follows the same is one.
    private void Add(LaneStep what, long from, long to)
    {
        if (cuts.Count > 0 && cuts[^1].Step == what)
            cuts[^1] = (what, cuts[^1].From, to);
        else if (to > from)
            cuts.Add((what, from, to));
    }

    private double Seconds(long ticks) => (ticks - began) / (double)Stopwatch.Frequency;
}
