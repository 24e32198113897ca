using DualSparse.Engine;

namespace DualSparse.Benchmarking.ShortcutExperts;

/// <summary>One variant in figures.</summary>
/// <param name="Name">Which.</param>
/// <param name="Milliseconds">A pair of layers in the order that was chosen: computing, and waits.</param>
/// <param name="Speedup">Top-2's time over this.</param>
/// <param name="ComputeMilliseconds">Its operators, without waits.</param>
/// <param name="TravelMilliseconds">Its rows there and back, with nothing else.</param>
/// <param name="Hidden">What of that took no time of its own.</param>
/// <param name="BoundMilliseconds">What its operators and ways allow.</param>
/// <param name="OverBound">A run's time over what its own operators' times allow: the median.</param>
/// <param name="Slot">Where the experts stand.</param>
/// <param name="BestMilliseconds">Of the order that was fastest.</param>
/// <param name="BestSlot">Where they stand there.</param>
/// <param name="Lanes">Of rank 0 in the median round: what each operator does when, in milliseconds.</param>
internal sealed record ScMoeRow(
    string Name, double Milliseconds, double Speedup, double ComputeMilliseconds, double TravelMilliseconds, double Hidden, double BoundMilliseconds, double OverBound, string Slot, double BestMilliseconds,
    string BestSlot, IReadOnlyList<ScMoeLane> Lanes);

/// <summary>A lane of a picture.</summary>
/// <param name="Name">The operator, or the way.</param>
/// <param name="Parts">Its times.</param>
internal sealed record ScMoeLane(string Name, IReadOnlyList<ScMoePart> Parts);

/// <summary>A part of a lane.</summary>
/// <param name="What">compute, travel or wait.</param>
/// <param name="From">Milliseconds since the pair of layers began.</param>
/// <param name="To">The end.</param>
internal readonly record struct ScMoePart(string What, double From, double To);

/// <summary>All variants over one link.</summary>
/// <param name="Megabits">Its rate where it is emulated.</param>
/// <param name="Share">The share of top-2's MoE time that its rows travel.</param>
/// <param name="TravelMilliseconds">Top-2's rows there and back.</param>
/// <param name="MoeMilliseconds">That, and its router and experts.</param>
/// <param name="Rows">The variants.</param>
internal sealed record ScMoeReport(int? Megabits, double Share, double TravelMilliseconds, double MoeMilliseconds, IReadOnlyList<ScMoeRow> Rows)
{
    /// <summary>The same forward and backward, without lanes; empty where it was not measured.</summary>
    public IReadOnlyList<ScMoeRow> Training { get; init; } = [];

    /// <summary>The share that was asked for.</summary>
    public double? Asked { get; init; }

    /// <summary>The library.</summary>
    public string? Mpi { get; init; }

    /// <summary>Of what was measured, the baseline first.</summary>
    public static ScMoeReport Of(int? megabits, IReadOnlyList<ScMoeResult> results)
    {
        var plain = results[0];
        return new ScMoeReport(
            megabits, plain.TravelSeconds / plain.MoeSeconds, 1e3 * plain.TravelSeconds, 1e3 * plain.MoeSeconds,
            [.. results.Select(result => new ScMoeRow(
                result.Variant.Name, 1e3 * result.Seconds(result.Chosen), plain.Seconds(plain.Chosen) / result.Seconds(result.Chosen), 1e3 * result.ComputeSeconds, 1e3 * result.TravelSeconds, result.Hidden,
                1e3 * result.Bound, result.Chosen.OverBound, result.Chosen.Slot, 1e3 * result.Seconds(result.Best), result.Best.Slot, Lanes(result.Chosen)))]);
    }

    /// <summary>Of what was measured forward and backward, the baseline first.</summary>
    public static IReadOnlyList<ScMoeRow> OfTraining(IReadOnlyList<ScMoeTrained> results) =>
    [
        .. results.Select(r => new ScMoeRow(
            r.Variant.Name, 1e3 * r.Seconds, results[0].Seconds / r.Seconds, 1e3 * r.ComputeSeconds, 1e3 * r.TravelSeconds,
            r.TravelSeconds == 0 ? 1 : Math.Clamp(1 - (r.Seconds - r.ComputeSeconds) / r.TravelSeconds, 0, 1), 1e3 * r.Bound, r.OverBound, r.Places, 1e3 * r.BestSeconds, r.BestPlaces, [])),
    ];

    private static IReadOnlyList<ScMoeLane> Lanes(ScMoeOrder order)
    {
        var run = order.Median[0];
        List<ScMoeLane> lanes = [];
        for (int step = 0; step < order.Order.Length; step++)
        {
            int at = step;
            var operation = order.Order[step];
            lanes.Add(new ScMoeLane(ScMoeBenchmark.Name(operation), [.. run.Spans.Where(span => span.Step == at).Select(span => new ScMoePart(span.Waiting ? "wait" : "compute", 1e3 * span.From, 1e3 * span.To))]));
            if (operation.Kind is not (OperatorKind.BeginExperts or OperatorKind.Experts))
                continue;
            // Rows of the others on their way here, and own sums on their way back.
            double[] way = run.Travels.Single(travel => (int)travel[0] == operation.Branch);
            var (name, from, to) = operation.Kind == OperatorKind.BeginExperts ? ("rows under way", way[1], way[2]) : ("sums under way", way[3], way[4]);
            if (to > from)
                lanes.Add(new ScMoeLane(name, [new ScMoePart("travel", 1e3 * from, 1e3 * to)]));
        }

        return lanes;
    }
}
