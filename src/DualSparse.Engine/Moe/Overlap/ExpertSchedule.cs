using System.Diagnostics;
using System.Numerics;
using DualSparse.Engine.Ranks;
using DualSparse.Models;

namespace DualSparse.Engine.Moe.Overlap;

/// <summary>
/// Where routed experts compute while rows travel between ranks: by measured times of passes of about as many rows, the same on every rank. It changes
/// no bit. Groups of layers with the same operators are measured together.
/// </summary>
internal sealed class ExpertSchedule
{
    // A first pass touches pages; two more are what a median of few layers needs. Later times count while caches and neighbours change.
    private const int Untimed = 1, Timed = 2;

    private static readonly int[] s_decisions = [Untimed + Timed, 16, 64, 256];

    private readonly IReadOnlyList<LayerGroup> groups;
    private readonly Shape[] shapes;
    private readonly int[] shapeOf;
    private readonly RankPeers peers;
    private readonly Dictionary<int, SizeClass> classes = [];
    private readonly OperatorClock clock = new() { SumsTogether = true };
    private SizeClass? running;

    private ExpertSchedule(IReadOnlyList<LayerGroup> groups, RankPeers peers)
    {
        (this.groups, this.peers) = (groups, peers);
        List<Shape> found = [];
        shapeOf = [.. groups.Select(group =>
        {
            Operator[] moved = [.. group.Operators.Select(step => step with { Layer = step.Layer - group.First })];
            int known = found.FindIndex(shape => shape.Orders[0].SequenceEqual(moved));
            if (known < 0)
                found.Add(new Shape(SlotChoice.Orders(moved)));
            return known < 0 ? found.Count - 1 : known;
        })];
        shapes = [.. found];
    }

    /// <summary>For a model whose rows travel; null where nothing may move.</summary>
    public static ExpertSchedule? Of(ModelConfig config, RankPeers? peers)
    {
        if (peers is not { Exchange: not null, RowsOfPass: not null, Share: not null })
            return null;
        var schedule = new ExpertSchedule(LayerProgram.Groups(config), peers);
        return schedule.shapes.Any(shape => shape.Orders.Count > 1) ? schedule : null;
    }

    /// <summary>The operators of a pass that has begun.</summary>
    public Operator[] Begin(Pass pass)
    {
        pass.Clock = null;
        int[] rows = peers.RowsOfPass!();
        // A rank without rows computes nothing but experts: its times would say nothing.
        running = rows.Min() > 0 ? Class(rows.Max()) : null;
        if (running is null)
            return [.. groups.SelectMany(group => group.Operators)];
        int passes = running.Passes;
        if (s_decisions.Contains(passes))
        {
            Decide(running, RowChunks.Of(rows.Max()));
        }
        else if (s_decisions.Any(decision => passes < decision && passes >= decision - Timed))
        {
            clock.Clear();
            pass.Clock = clock;
        }

        return running.Program;
    }

    /// <summary>The pass has ended.</summary>
    public void End(Pass pass)
    {
        if (running is null)
            return;
        running.Passes++;
        if (pass.Clock is null)
            return;
        pass.Clock = null;
        for (int g = 0; g < groups.Count; g++)
            running.Samples[shapeOf[g]].Add(Times(groups[g], shapes[shapeOf[g]]));
    }

    private SizeClass Class(int rows)
    {
        int size = BitOperations.Log2((uint)rows);
        if (!classes.TryGetValue(size, out var known))
            classes.Add(size, known = new SizeClass([.. groups.SelectMany(group => group.Operators)], [.. shapes.Select(_ => new List<double[]>())]));
        return known;
    }

    // All ranks at once, each with the same numbers afterwards.
    private void Decide(SizeClass size, int chunks)
    {
        double[] own = [.. size.Samples.SelectMany(samples => Enumerable.Range(0, samples[0].Length).Select(i => Median([.. samples.Select(sample => sample[i])])))];
        double[][] all = peers.Share!(own);
        size.Samples.ForEach(samples => samples.Clear());
        int at = 0;
        Operator[][] best = [.. shapes.Select(shape =>
        {
            var times = shape.Read([.. all.Select(rank => rank.AsSpan(at, shape.Numbers).ToArray())], chunks);
            at += shape.Numbers;
            return SlotChoice.Best(shape.Orders, times);
        })];
        size.Program = [.. groups.SelectMany((group, g) => best[shapeOf[g]].Select(step => step with { Layer = step.Layer + group.First }))];
    }

    private double[] Times(LayerGroup group, Shape shape)
    {
        double[] numbers = new double[shape.Numbers];
        foreach (var span in clock.Spans)
        {
            int operation = span.Waiting || span.Step.Layer < group.First ? -1 : Array.IndexOf(shape.Orders[0], span.Step with { Layer = span.Step.Layer - group.First });
            if (operation >= 0)
                numbers[operation] += Seconds(span.To - span.From);
        }

        for (int lane = 0; lane < shape.Lanes.Length; lane++)
        {
            var way = clock.Travels.First(travel => travel.Lane == shape.Lanes[lane] with { Layer = shape.Lanes[lane].Layer + group.First });
            int first = shape.Orders[0].Length + Shape.OfLane * lane;
            (numbers[first], numbers[first + 1], numbers[first + 2]) = (Seconds(way.RowsCame - way.Sent), Seconds(way.SumsCame - way.Answered), Seconds(way.OwnTicks));
        }

        return numbers;
    }

    private static double Median(double[] values)
    {
        Array.Sort(values);
        return (values[(values.Length - 1) / 2] + values[values.Length / 2]) / 2;
    }

    private static double Seconds(long ticks) => (double)ticks / Stopwatch.Frequency;

    /// <summary>Groups with the same operators; layers are counted from the group's first.</summary>
    private sealed class Shape(IReadOnlyList<Operator[]> orders)
    {
        public const int OfLane = 3;

        public IReadOnlyList<Operator[]> Orders => orders;

        public ExpertLane[] Lanes { get; } = [.. orders[0].Where(step => step.Kind == OperatorKind.Experts).Select(step => new ExpertLane(step.Layer, step.Branch))];

        public int Numbers => orders[0].Length + OfLane * Lanes.Length;

        // The slowest rank's operators. Ranks that begin at different times see each other's rows come early and late: the mean is the link's.
        public GroupTimes Read(double[][] ranks, int chunks) => new(
            orders[0].Select((step, i) => (step, Seconds: ranks.Max(rank => rank[i]))).ToDictionary(pair => pair.step, pair => pair.Seconds),
            Lanes.Select((lane, i) => (lane, First: orders[0].Length + OfLane * i)).ToDictionary(
                pair => pair.lane,
                pair => new LaneTimes(Way(ranks, pair.First), Way(ranks, pair.First + 1), ranks.Average(rank => rank[pair.First + 2]), chunks)));

        private static double Way(double[][] ranks, int number) => Math.Max(0, ranks.Average(rank => rank[number]));
    }

    /// <summary>Passes whose largest rank has as many rows, to a factor of two.</summary>
    private sealed class SizeClass(Operator[] program, List<List<double[]>> samples)
    {
        public int Passes { get; set; }

        public Operator[] Program { get; set; } = program;

        // By shape.
        public List<List<double[]>> Samples => samples;
    }
}
