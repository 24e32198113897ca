using DualSparse.Distributed;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Overlap;

namespace DualSparse.Benchmarking.ShortcutExperts;

/// <summary>One order of a variant's operators.</summary>
/// <param name="Order">The operators.</param>
/// <param name="Slot">Where the experts stand, in words.</param>
/// <param name="Predicted">Seconds by the operators' times.</param>
/// <param name="Waited">Seconds that the slowest rank waits, measured: the median.</param>
/// <param name="OverBound">A run's time over what its own operators' times allow: the median.</param>
/// <param name="Median">The ranks' runs of the median round.</param>
internal sealed record ScMoeOrder(Operator[] Order, string Slot, double Predicted, double Waited, double OverBound, ScMoeRun[] Median);

/// <summary>A variant, measured.</summary>
/// <param name="Variant">Which.</param>
/// <param name="Times">What its operators take, and its rows' ways.</param>
/// <param name="Orders">Every order, the sequential one first.</param>
/// <param name="Chosen">The one of least predicted time.</param>
internal sealed record ScMoeResult(ScMoeVariant Variant, GroupTimes Times, IReadOnlyList<ScMoeOrder> Orders, ScMoeOrder Chosen)
{
    /// <summary>The order that waited least: in every order the same is computed.</summary>
    public ScMoeOrder Best => Orders.MinBy(order => order.Waited)!;

    /// <summary>An order's time: what all compute, and what it waits. A core's speed changes by half within seconds, so that sums of medians say more than medians of sums.</summary>
    public double Seconds(ScMoeOrder order) => ComputeSeconds + order.Waited;

    /// <summary>All operators' time, without a wait.</summary>
    public double ComputeSeconds => Times.Operators.Values.Sum();

    /// <summary>All rows' ways, one after another.</summary>
    public double TravelSeconds => Times.Lanes.Values.Sum(lane => lane.Dispatch + lane.Combine);

    /// <summary>What of the rows' ways took no time of its own.</summary>
    public double Hidden => TravelSeconds == 0 ? 1 : Math.Clamp(1 - Chosen.Waited / TravelSeconds, 0, 1);

    /// <summary>The least time that these operators and ways allow in any order.</summary>
    public double Bound => Variant.Overlaps ? Orders.Min(order => order.Predicted) : ComputeSeconds + TravelSeconds;

    /// <summary>The operators of the layer's experts and their rows' ways: what of a layer the exchange is compared with.</summary>
    public double MoeSeconds => TravelSeconds + Times.Operators.Where(pair => pair.Key.Kind is OperatorKind.BeginExperts or OperatorKind.Experts or OperatorKind.EndExperts).Sum(pair => pair.Value);
}

/// <summary>A pair of layers over ranks, wired in several ways: top-2, a shared expert, positions 1 to 3, ScMoE-2, DGMoE; each in every order of its operators.</summary>
internal static class ScMoeBenchmark
{
    // Connections, pages, code.
    private const int UntimedRounds = 1;

    /// <summary>Measures; all ranks call it alike.</summary>
    /// <param name="group">The ranks.</param>
    /// <param name="setting">What.</param>
    /// <param name="variants">Which.</param>
    /// <param name="progress">Told what is done.</param>
    /// <returns>On rank 0; another: null.</returns>
    /// <exception cref="InvalidOperationException">Two orders of a variant gave different bits.</exception>
    public static IReadOnlyList<ScMoeResult>? Run(RankGroup group, ScMoeSetting setting, IReadOnlyList<ScMoeVariant> variants, Action<string>? progress)
    {
        using var rank = new ScMoeRank(group, setting);
        var orders = variants.Select(variant => Orders(variant, setting)).ToArray();
        List<ScMoeRun[]>[][] runs = [.. orders.Select(of => of.Select(_ => new List<ScMoeRun[]>()).ToArray())];
        List<ScMoeRun[]>[] sequential = [.. orders.Select(_ => new List<ScMoeRun[]>())];
        for (int round = -UntimedRounds; round < setting.Rounds; round++)
        {
            progress?.Invoke(round < 0 ? "a first round, untimed" : $"round {round + 1} of {setting.Rounds}");
            for (int v = 0; v < orders.Length; v++)
            {
                var alone = rank.Run(variants[v] with { Overlaps = false }, Sequential(orders[v][0]));
                if (round >= 0 && group.Rank == 0)
                    sequential[v].Add(alone);
                for (int o = 0; o < orders[v].Count; o++)
                {
                    var run = rank.Run(variants[v], orders[v][o]);
                    if (round >= 0 && group.Rank == 0)
                        runs[v][o].Add(run);
                }
            }
        }

        if (group.Rank != 0)
            return null;
        var pooled = Pooled(variants, orders, runs, sequential);
        return [.. variants.Select((variant, v) => Result(variant, orders[v], runs[v], Times(variant, RowChunks.Of(setting.Tokens), Sequential(orders[v][0]), sequential[v], pooled), sequential[v]))];
    }

    private static IReadOnlyList<Operator[]> Orders(ScMoeVariant variant, ScMoeSetting setting)
    {
        Operator[] program = LayerProgram.Of(variant.Config(setting.Hidden, setting.Tokens, setting.Experts));
        return variant.Overlaps ? SlotChoice.Orders(program) : [program];
    }

    // Each step waits for its messages: the ways are measured by themselves.
    private static Operator[] Sequential(Operator[] order)
    {
        List<Operator> steps = [.. order.Where(step => step.Kind != OperatorKind.Experts)];
        foreach (var experts in order.Where(step => step.Kind == OperatorKind.Experts))
            steps.Insert(steps.FindIndex(step => step.Kind == OperatorKind.BeginExperts && step.Branch == experts.Branch) + 1, experts);
        return [.. steps];
    }

    private static ScMoeResult Result(ScMoeVariant variant, IReadOnlyList<Operator[]> orders, List<ScMoeRun[]>[] runs, GroupTimes times, List<ScMoeRun[]> sequential)
    {
        ulong[] bits = [.. sequential[0].Select(run => run.Bits)];
        if (runs.SelectMany(of => of).Any(ranks => !ranks.Select(run => run.Bits).SequenceEqual(bits)))
            throw new InvalidOperationException($"{variant.Name}: another order of the operators gave other bits");
        ScMoeOrder[] measured = [.. orders.Select((order, o) =>
        {
            var sorted = runs[o].OrderBy(Slowest).ToArray();
            return new ScMoeOrder(
                order, Slot(order), times.Makespan(order), Statistics.Median([.. runs[o].Select(ranks => ranks.MaxBy(run => run.Seconds)!.Waited)]),
                Statistics.Median([.. runs[o].Select(ranks => Slowest(ranks) / ranks.Max(run => Least(variant, orders, times, order, run)))]), sorted[(sorted.Length - 1) / 2]);
        })];
        return new ScMoeResult(variant, times, measured, measured.MinBy(order => order.Predicted)!);
    }

    // What a run's own operators and the ways allow in any order.
    private static double Least(ScMoeVariant variant, IReadOnlyList<Operator[]> orders, GroupTimes times, Operator[] order, ScMoeRun run)
    {
        var operators = order.Select((step, at) => (step, Seconds: run.Computing(at))).ToDictionary(pair => pair.step, pair => pair.Seconds);
        if (!variant.Overlaps)
            return operators.Values.Sum() + times.Lanes.Values.Sum(lane => lane.Dispatch + lane.Combine);
        var lanes = times.Lanes.ToDictionary(pair => pair.Key, pair =>
        {
            var experts = order.Single(step => step.Kind == OperatorKind.Experts && step.Branch == pair.Key.Branch);
            return pair.Value with { Own = pair.Value.Own * operators[experts] / times.Operators[experts] };
        });
        var own = new GroupTimes(operators, lanes);
        return orders.Min(each => own.Makespan(each));
    }

    // The operators' times over all variants that have them; the ways from when the last rank has sent, since all count from one beginning.
    private static GroupTimes Times(ScMoeVariant variant, int chunks, Operator[] order, List<ScMoeRun[]> rounds, Dictionary<(OperatorKind Kind, int Layer, int TopK), double> pooled)
    {
        var operators = order.ToDictionary(step => step, step => pooled[Key(variant, step)]);
        Dictionary<ExpertLane, LaneTimes> lanes = [];
        foreach (var experts in order.Where(step => step.Kind == OperatorKind.Experts))
        {
            int at = Array.IndexOf(order, experts);
            double Way(int from, int to) => Statistics.Median([.. rounds.Select(ranks => Math.Max(0, Last(ranks, to) - Last(ranks, from)))]);
            double Last(ScMoeRun[] ranks, int moment) => ranks.Max(run => Travel(run)[moment]);
            double[] Travel(ScMoeRun run) => run.Travels.Single(way => (int)way[0] == experts.Branch);
            double own = Statistics.Median([.. rounds.Select(ranks => ranks.Average(run => Travel(run)[5] / run.Computing(at)))]);
            lanes[new ExpertLane(experts.Layer, experts.Branch)] = new LaneTimes(Way(1, 2), Way(3, 4), operators[experts] * own, chunks);
        }

        return new GroupTimes(operators, lanes);
    }

    // The slowest rank's. Operators of as many rows take as long in every variant and order.
    private static Dictionary<(OperatorKind Kind, int Layer, int TopK), double> Pooled(
        IReadOnlyList<ScMoeVariant> variants, IReadOnlyList<Operator[]>[] orders, List<ScMoeRun[]>[][] runs, List<ScMoeRun[]>[] sequential)
    {
        Dictionary<(OperatorKind, int, int), List<double>> all = [];
        for (int v = 0; v < variants.Count; v++)
        {
            foreach (var (order, rounds) in orders[v].Zip(runs[v]).Append((Sequential(orders[v][0]), sequential[v])))
            {
                for (int at = 0; at < order.Length; at++)
                {
                    var key = Key(variants[v], order[at]);
                    if (!all.TryGetValue(key, out var times))
                        all.Add(key, times = []);
                    times.AddRange(rounds.Select(ranks => ranks.Max(run => run.Computing(at))));
                }
            }
        }

        return all.ToDictionary(pair => pair.Key, pair => Statistics.Median([.. pair.Value]));
    }

    private static (OperatorKind Kind, int Layer, int TopK) Key(ScMoeVariant variant, Operator step) =>
        (step.Kind, step.Layer, step.Kind is OperatorKind.BeginExperts or OperatorKind.Experts or OperatorKind.EndExperts ? variant.TopK : 0);

    private static double Slowest(ScMoeRun[] ranks) => ranks.Max(run => run.Seconds);

    /// <summary>Where the experts of an order stand: behind what.</summary>
    public static string Slot(Operator[] order) => string.Join(", ", order.Select((step, i) => (step, i)).Where(pair => pair.step.Kind == OperatorKind.Experts)
        .Select(pair => $"behind {Name(order[pair.i - 1])}"));

    /// <summary>An operator by its name.</summary>
    public static string Name(Operator step) => step.Kind switch
    {
        OperatorKind.Attention => step.Layer == 0 ? "first attention" : "second attention",
        OperatorKind.Dense => "MLP",
        OperatorKind.BeginExperts => step.Branch == 0 ? "dispatch" : "second dispatch",
        OperatorKind.Experts => step.Branch == 0 ? "experts" : "second experts",
        OperatorKind.Shared => "shared expert",
        _ => step.Branch == 0 ? "combine" : "second combine",
    };
}
