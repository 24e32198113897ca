using DualSparse.Distributed;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Overlap;

namespace DualSparse.Benchmarking.ShortcutExperts;

/// <summary>One order of a variant's operators.</summary>
/// <param name="Order">The operators.</param>
/// <param name="Slot">Where the experts stand, in words.</param>
/// <param name="Predicted">Seconds by the operators' times.</param>
/// <param name="Seconds">Measured, on the slowest rank: the median.</param>
/// <param name="Median">The ranks' runs of the median round.</param>
internal sealed record ScMoeOrder(Operator[] Order, string Slot, double Predicted, double Seconds, ScMoeRun[] Median);

/// <summary>A variant, measured.</summary>
/// <param name="Variant">Which.</param>
/// <param name="Times">What its operators take, and its rows' ways.</param>
/// <param name="Orders">Every order, the sequential one first.</param>
/// <param name="Chosen">The one of least predicted time.</param>
internal sealed record ScMoeResult(ScMoeVariant Variant, GroupTimes Times, IReadOnlyList<ScMoeOrder> Orders, ScMoeOrder Chosen)
{
    /// <summary>The order that was fastest.</summary>
    public ScMoeOrder Best => Orders.MinBy(order => order.Seconds)!;

    /// <summary>All operators' time, without a wait.</summary>
    public double ComputeSeconds => Times.Operators.Values.Sum();

    /// <summary>All rows' ways, one after another.</summary>
    public double TravelSeconds => Times.Lanes.Values.Sum(lane => lane.Dispatch + lane.Combine);

    /// <summary>What of the rows' ways took no time of its own.</summary>
    public double Hidden => TravelSeconds == 0 ? 1 : Math.Clamp(1 - (Chosen.Seconds - ComputeSeconds) / TravelSeconds, 0, 1);

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

        return group.Rank == 0 ? [.. variants.Select((variant, v) => Result(variant, setting, orders[v], runs[v], sequential[v]))] : null;
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

    private static ScMoeResult Result(ScMoeVariant variant, ScMoeSetting setting, IReadOnlyList<Operator[]> orders, List<ScMoeRun[]>[] runs, List<ScMoeRun[]> sequential)
    {
        ulong[] bits = [.. sequential[0].Select(run => run.Bits)];
        if (runs.SelectMany(of => of).Any(ranks => !ranks.Select(run => run.Bits).SequenceEqual(bits)))
            throw new InvalidOperationException($"{variant.Name}: another order of the operators gave other bits");
        var times = Times(setting, orders, runs, Sequential(orders[0]), sequential);
        ScMoeOrder[] measured = [.. orders.Select((order, o) =>
        {
            var sorted = runs[o].OrderBy(Slowest).ToArray();
            return new ScMoeOrder(order, Slot(order), times.Makespan(order), Statistics.Median([.. runs[o].Select(Slowest)]), sorted[(sorted.Length - 1) / 2]);
        })];
        return new ScMoeResult(variant, times, measured, measured.MinBy(order => order.Predicted)!);
    }

    // As the engine's schedule takes them: the slowest rank's operators, and the mean of the ways, which begin when each is ready.
    private static GroupTimes Times(ScMoeSetting setting, IReadOnlyList<Operator[]> orders, List<ScMoeRun[]>[] runs, Operator[] order, List<ScMoeRun[]> rounds)
    {
        Dictionary<Operator, double> operators = [];
        foreach (var step in order)
        {
            // In every order it computes the same.
            operators[step] = Statistics.Median(
            [
                .. Of(order, rounds, step), .. orders.Zip(runs).SelectMany(pair => Of(pair.First, pair.Second, step)),
            ]);
        }

        Dictionary<ExpertLane, LaneTimes> lanes = [];
        foreach (var experts in order.Where(step => step.Kind == OperatorKind.Experts))
        {
            double Median(Func<double[], double> of) => Statistics.Median([.. rounds.Select(ranks => ranks.Average(run => of(run.Travels.Single(way => (int)way[0] == experts.Branch))))]);
            lanes[new ExpertLane(experts.Layer, experts.Branch)] = new LaneTimes(Math.Max(0, Median(way => way[2] - way[1])), Math.Max(0, Median(way => way[4] - way[3])), Median(way => way[5]), RowChunks.Of(setting.Tokens));
        }

        return new GroupTimes(operators, lanes);
    }

    private static IEnumerable<double> Of(Operator[] order, List<ScMoeRun[]> rounds, Operator step)
    {
        int at = Array.IndexOf(order, step);
        return rounds.Select(ranks => ranks.Max(run => run.Spans.Where(span => span.Step == at && !span.Waiting).Sum(span => span.To - span.From)));
    }

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
