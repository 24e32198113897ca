using System.Diagnostics;
using DualSparse.Distributed;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Overlap;
using DualSparse.Models;

namespace DualSparse.Training.Ranks;

/// <summary>
/// Where a layer's experts compute in a pass over ranks, forward and backward, by measured times of the first passes, the same on every rank. It
/// changes no bit. The second routing of a token (DGMoE) computes at its layer.
/// </summary>
internal sealed class PassSchedule
{
    // The first pass touches pages; two more are measured.
    private const int Untimed = 1, Timed = 2, OfLane = 3;

    private readonly RankGroup group;
    private readonly List<Way> ways = [];
    private readonly OperatorClock forward = new(), backward = new();
    private readonly List<double[]> samples = [];
    private int passes;

    private PassSchedule(RankGroup group) => this.group = group;

    /// <summary>For the layers whose experts may move; null where there are none.</summary>
    public static PassSchedule? Of(ModelConfig config, RankGroup? group)
    {
        if (group is null || config.Moe is null)
            return null;
        var schedule = new PassSchedule(group);
        for (int layer = 0; layer < config.Layers; layer++)
        {
            if (!config.LayerPlan[layer].IsMoe || (config.LayerPlan[layer].Shortcut == 0 && config.Moe.SharedIntermediate == 0))
                continue;
            schedule.ways.Add(new Way(layer, Forward(config, layer)));
            schedule.ways.Add(new Way(layer, Backward(config, layer)));
        }

        return schedule.ways.Count > 0 ? schedule : null;
    }

    /// <summary>The operators from a layer's dispatch to its combine, forward.</summary>
    public static Operator[] Forward(ModelConfig config, int layer) => Order(config, layer, Window(config, layer), sharedFirst: false);

    /// <summary>The same of the gradients, backward: combine is at the block whose input the experts read.</summary>
    public static Operator[] Backward(ModelConfig config, int layer) => Order(config, layer, Window(config, layer).Reverse(), sharedFirst: true);

    /// <summary>What the schedule was chosen by, for each layer forward and then backward; empty before.</summary>
    public List<(Operator[] Order, GroupTimes Times)> Known { get; } = [];

    /// <summary>By layer, behind what its experts compute; set to try another place.</summary>
    public Dictionary<int, (Operator Forward, Operator Backward)> Places { get; } = [];

    /// <summary>A pass begins. Every rank calls it, with windows or without.</summary>
    /// <param name="pass">The pass.</param>
    public void Begin(Layers.TrainingPass pass)
    {
        if (passes == Untimed + Timed)
            Decide();
        bool measures = passes >= Untimed && passes < Untimed + Timed;
        forward.Clear();
        backward.Clear();
        (pass.ForwardClock, pass.BackwardClock) = measures ? (forward, backward) : (null, null);
        if (measures)
            group.Waited = (from, to) => (pass.IsBackward ? backward : forward).Waited(from, to);
        passes++;
    }

    /// <summary>A forward and a backward pass have ended.</summary>
    public void End(Layers.TrainingPass pass)
    {
        if (pass.BackwardClock is null)
            return;
        (pass.ForwardClock, pass.BackwardClock) = (null, null);
        group.Waited = null;
        samples.Add([.. ways.SelectMany((way, i) => Numbers(way, i % 2 == 0 ? forward : backward))]);
    }

    private void Decide()
    {
        // A run of forward passes alone has measured nothing, on any rank.
        if (samples.Count == 0)
            return;
        double[] own = [.. Enumerable.Range(0, samples[0].Length).Select(i => samples.Select(sample => sample[i]).Order().ElementAt(samples.Count / 2))];
        double[][] all = RankNumbers.Share(group, own);
        samples.Clear();
        int at = 0;
        List<Operator> behind = [];
        foreach (var way in ways)
        {
            int first = at;
            at += way.Order.Length + OfLane;
            Dictionary<Operator, double> operators = [];
            for (int i = 0; i < way.Order.Length; i++)
                operators[way.Order[i]] = all.Max(rank => rank[first + i]);
            int lane = first + way.Order.Length;
            var times = new LaneTimes(Math.Max(0, all.Average(rank => rank[lane])), Math.Max(0, all.Average(rank => rank[lane + 1])), 0);
            var known = new GroupTimes(operators, new Dictionary<ExpertLane, LaneTimes> { [new ExpertLane(way.Layer)] = times });
            Known.Add((way.Order, known));
            var best = SlotChoice.Best(SlotChoice.Orders(way.Order), known);
            behind.Add(best[Array.FindIndex(best, step => step.Kind == OperatorKind.Experts) - 1]);
        }

        for (int i = 0; i < ways.Count; i += 2)
            Places[ways[i].Layer] = (behind[i], behind[i + 1]);
    }

    private static double[] Numbers(Way way, OperatorClock clock)
    {
        double[] numbers = new double[way.Order.Length + OfLane];
        foreach (var span in clock.Spans)
        {
            int operation = span.Waiting ? -1 : Array.IndexOf(way.Order, span.Step);
            if (operation >= 0)
                numbers[operation] += (double)(span.To - span.From) / Stopwatch.Frequency;
        }

        var travel = clock.Travels.FirstOrDefault(travel => travel.Lane == new ExpertLane(way.Layer));
        numbers[^3] = (double)(travel.RowsCame - travel.Sent) / Stopwatch.Frequency;
        numbers[^2] = (double)(travel.SumsCame - travel.Answered) / Stopwatch.Frequency;
        return numbers;
    }

    private static IEnumerable<Operator> Window(ModelConfig config, int layer) => Enumerable.Range(0, config.LayerPlan[layer].Shortcut).Select(i => 2 * layer + 1 - config.LayerPlan[layer].Shortcut + i)
        .Select(place => new Operator(place % 2 == 0 ? OperatorKind.Attention : OperatorKind.Dense, place / 2));

    private static Operator[] Order(ModelConfig config, int layer, IEnumerable<Operator> window, bool sharedFirst)
    {
        Operator[] shared = config.Moe!.SharedIntermediate > 0 ? [new(OperatorKind.Shared, layer)] : [];
        Operator begin = new(OperatorKind.BeginExperts, layer), experts = new(OperatorKind.Experts, layer), end = new(OperatorKind.EndExperts, layer);
        return sharedFirst ? [begin, .. shared, .. window, experts, end] : [begin, .. window, .. shared, experts, end];
    }

    // Forward and backward in turn.
    private sealed record Way(int Layer, Operator[] Order);
}
