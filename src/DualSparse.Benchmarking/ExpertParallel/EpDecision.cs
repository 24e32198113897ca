using System.Diagnostics;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels.Packing;

namespace DualSparse.Benchmarking.ExpertParallel;

/// <summary>What ranks that aren't there decide of a layer: by the engine's tables and rules, each rank's rows by themselves.</summary>
/// <param name="Plans">[ranks] each one's rows, decided.</param>
/// <param name="Low">[ranks] which compute in the lower precision; empty: none does.</param>
/// <param name="Used">[parts] whether any row asks for it.</param>
/// <param name="Seconds">What a rank needs to decide, without the all-gather: the slowest one.</param>
/// <param name="MessageBytes">What it tells the others.</param>
/// <param name="Placement">Which rank has which part.</param>
internal sealed record EpDecision(RoutingPlan[] Plans, bool[] Low, bool[] Used, double Seconds, int MessageBytes, ExpertPlacement Placement)
{
    /// <summary>See <see cref="BalanceSetting.KeepsConverted"/>.</summary>
    public bool KeepsConverted { get; init; }

    // Of a decision: enough for the runtime to compile it for good, as in a run.
    private const int Calls = 40;

    /// <summary>Decides, again and again; the time is the median of the last calls.</summary>
    /// <param name="setting">Shape, weights.</param>
    /// <param name="placement">Which rank has which part.</param>
    /// <param name="plans">[ranks] each one's rows.</param>
    /// <param name="variant">How.</param>
    /// <param name="thresholds">T_max.</param>
    /// <param name="marked">The rows of each rank that are marked, from its first on.</param>
    public static EpDecision Of(EpSetting setting, ExpertPlacement placement, RoutingPlan[] plans, EpVariant variant, DropThresholds thresholds, int marked)
    {
        EpDecision[] all = [.. Enumerable.Range(0, variant.Balance is null ? 1 : Calls).Select(_ => Once(setting, placement, plans, variant, thresholds, marked))];
        return all[^1] with { Seconds = Statistics.Median([.. all.Skip(all.Length / 2).Select(d => d.Seconds)]) };
    }

    private static EpDecision Once(EpSetting setting, ExpertPlacement placement, RoutingPlan[] plans, EpVariant variant, DropThresholds thresholds, int marked)
    {
        var tickets = plans.Select(plan => Ticket(plan, variant.Drops ? thresholds : DropThresholds.None, new LoadTable(placement).Levels)).ToArray();
        if (variant.Balance is not { } balance)
            return new EpDecision([.. tickets.Select(t => t.Routing)], [], [], 0, 0, placement);
        var neurons = new NeuronLayout(setting.Shape.Neurons / placement.Parts);
        bool[] marks = [.. Enumerable.Range(0, plans[0].Tokens).Select(row => row < marked)];
        double slowest = 0, weightBytes = WeightFormats.Of(setting.Weights).WeightBytes;
        var all = new LoadTable(placement);
        byte[] message = new byte[all.Bytes];
        foreach (var ticket in tickets)
        {
            long start = Stopwatch.GetTimestamp();
            var own = new LoadTable(placement);
            own.Add(ticket.Routing, ticket.Levels, neurons.Major, neurons.Neurons - neurons.Major, marks);
            own.Write(message);
            all.Merge(message);
            slowest = Math.Max(slowest, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        long decided = Stopwatch.GetTimestamp();
        var times = new LoadTimes(all, placement, neurons, setting.Shape.Hidden, weightBytes, balance.Rates, balance.Low);
        int knee = balance.Knee ?? balance.Rates.Knee(weightBytes, setting.Shape.Experts, setting.Shape.TopK);
        bool[] low = balance.Switches ? PrecisionRule.Choose(times, balance, knee) : [];
        int[] levels = ThresholdRule.Levels(times, low, balance.Drops ? balance.Rule : BalanceRule.All);
        LayerBalance.Apply(tickets[0], placement, levels);
        slowest += Stopwatch.GetElapsedTime(decided).TotalSeconds;
        foreach (var ticket in tickets)
            LayerBalance.Apply(ticket, placement, levels);
        bool[] used = [.. Enumerable.Range(0, placement.RankOf.Length).Select(part => all.Reads(part, levels[placement.RankOf[part]]).Major)];
        return new EpDecision([.. tickets.Select(t => t.Routing)], Array.Exists(low, rank => rank) ? low : [], used, slowest, all.Bytes, placement) { KeepsConverted = balance.KeepsConverted };
    }

    /// <summary>The threshold on ŝ with which every rank alike drops a share of all rows' work.</summary>
    /// <param name="plans">The rows.</param>
    /// <param name="rate">The share.</param>
    /// <param name="neurons">Of an expert.</param>
    public static float Threshold(IReadOnlyList<RoutingPlan> plans, double rate, NeuronLayout neurons)
    {
        // Halvings of 0 to 1: below what a score is stored to.
        const int halvings = 24;
        float low = 0, high = 1;
        for (int i = 0; i < halvings; i++)
        {
            float middle = (low + high) / 2;
            var counts = default(DropCounts);
            foreach (var plan in plans)
                counts += DropCounts.Of(Ticket(plan, EpVariant.Around(middle), 1).Routing, 0, plan.Tokens, neurons);
            (low, high) = counts.Rate < rate ? (middle, high) : (low, middle);
        }

        return high;
    }

    private static ExpertTicket Ticket(RoutingPlan plan, DropThresholds thresholds, int levels)
    {
        var ticket = new ExpertTicket();
        ticket.Routing.CopyFrom(plan);
        ticket.Levels.Reset(plan.Experts.Length, levels);
        for (int i = 0; thresholds != DropThresholds.None && i < plan.Experts.Length; i++)
        {
            bool best = i % plan.TopK == 0;
            ticket.Routing.Computations[i] = DropPolicy.Decide(plan.Scores[i], best, thresholds, guard: true);
            ticket.Levels.Set(i, plan.Scores[i], best, thresholds, guard: true);
        }

        return ticket;
    }
}
