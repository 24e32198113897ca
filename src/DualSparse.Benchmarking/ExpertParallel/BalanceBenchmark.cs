using DualSparse.Distributed;
using DualSparse.Distributed.Measuring;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Kernels.Packing;

namespace DualSparse.Benchmarking.ExpertParallel;

/// <summary>What <c>bench ep --balance</c> is asked.</summary>
/// <param name="Asked">The mode, and by which rates.</param>
/// <param name="Rate">The share of all rows' work that every rank alike would drop.</param>
/// <param name="Marked">The share of each rank's rows that are marked.</param>
internal sealed record EpBalance(BalanceSetting Asked, double Rate, double Marked);

/// <summary>A layer of one round over so many ranks in a variant.</summary>
/// <param name="Ranks">N.</param>
/// <param name="Real">Whether they are real.</param>
/// <param name="Variant">The variant's index.</param>
/// <param name="Layer">Which layer.</param>
/// <param name="Seconds">The layer, on the slowest rank.</param>
/// <param name="Experts">[ranks] each one's experts, converting included where ranks are virtual.</param>
/// <param name="Convert">[ranks] converting alone; of real ranks it isn't told apart from the dispatch.</param>
/// <param name="Unconverted">The layer were converting free; of real ranks the same.</param>
/// <param name="Loads">Telling each other loads, on the real rank that came last and so waited least.</param>
internal sealed record BalanceSample(int Ranks, bool Real, int Variant, int Layer, double Seconds, double[] Experts, double[] Convert, double Unconverted, double Loads = 0);

/// <summary>All of it.</summary>
/// <param name="Variants">What was compared; the first is balanced in no way.</param>
/// <param name="Samples">Each layer of each round.</param>
/// <param name="Decisions">By ranks and variant: a decision for each layer.</param>
/// <param name="Link">The way between virtual ranks.</param>
internal sealed record BalanceRun(
    IReadOnlyList<EpVariant> Variants, IReadOnlyList<BalanceSample> Samples, IReadOnlyDictionary<(int Ranks, int Variant), EpDecision[]> Decisions, VirtualLink Link);

/// <summary>Layers whose loads are uneven, with and without balance, on real ranks and on virtual ones; in each round all variants take their turn at each layer.</summary>
internal static class BalanceBenchmark
{
    private const int UntimedRounds = 1;

    /// <summary>Measures; all ranks call it alike.</summary>
    /// <param name="group">The real ranks; null: none.</param>
    /// <param name="setting">The layers.</param>
    /// <param name="routing">Where rows go.</param>
    /// <param name="counts">Counts of virtual ranks.</param>
    /// <param name="link">The way between them.</param>
    /// <param name="balance">What is asked; its rates are known.</param>
    /// <param name="progress">Told what is done.</param>
    /// <returns>On rank 0; another: null.</returns>
    public static BalanceRun? Run(RankGroup? group, EpSetting setting, EpRouting routing, IReadOnlyList<int> counts, VirtualLink link, EpBalance balance, Action<string>? progress = null)
    {
        int marked = (int)Math.Round(balance.Marked * setting.Tokens);
        int[] all = [.. (group is null ? counts : [group.Size, .. counts]).Distinct()];
        var variants = EpVariant.Of(balance.Asked, Array.TrueForAll(all, setting.CanReplace));
        var decisions = new Dictionary<(int, int), EpDecision[]>();
        foreach (int ranks in all)
        {
            var plans = routing.Of(ranks);
            var thresholds = Thresholds(plans);
            for (int v = 0; v < variants.Count; v++)
            {
                decisions[(ranks, v)] = [.. Enumerable.Range(0, setting.Layers).Select(layer =>
                    EpDecision.Of(setting, variants[v] == EpVariant.Replaced ? setting.Replaced(ranks, layer) : setting.Placement(ranks, layer), [.. plans.Select(rank => rank[layer])], variants[v], thresholds, marked))];
            }
        }

        progress?.Invoke("making weights");
        using var real = group is null ? null : new RealRanks(group, setting, routing);
        real?.Use(Thresholds(routing.Of(group!.Size)), marked);
        var rendezvous = group is null ? null : new Rendezvous(group);
        List<BalanceSample> samples = [];
        VirtualMeasurement[] measured = [];
        bool leads = group is null || group.Rank == 0;
        for (int round = -UntimedRounds; round < setting.Rounds; round++)
        {
            if (leads && round >= 0)
                progress?.Invoke($"round {round + 1} of {setting.Rounds}");
            for (int layer = 0; layer < setting.Layers; layer++)
            {
                for (int v = 0; real is not null && v < variants.Count; v++)
                {
                    var lanes = real.Run(layer, variants[v]);
                    if (leads && round >= 0)
                    {
                        double seconds = lanes.Max(lane => lane.Seconds);
                        samples.Add(new(lanes.Length, true, v, layer, seconds, [.. lanes.Select(lane => lane.Of(LaneStep.Experts))], new double[lanes.Length], seconds, lanes.Min(lane => lane.LoadSeconds)));
                    }
                }

                int l = layer, r = round;
                Alone(() => Virtual(l, r >= 0));
            }
        }

        Array.ForEach(measured, of => of.Dispose());
        return leads ? new BalanceRun(variants, samples, decisions, link) : null;

        Engine.DropThresholds Thresholds(RoutingPlan[][] plans) => !balance.Asked.Drops ? Engine.DropThresholds.None
            : EpVariant.Around(EpDecision.Threshold([.. plans.SelectMany(rank => rank)], balance.Rate, new NeuronLayout(setting.Shape.Neurons)));

        void Virtual(int layer, bool timed)
        {
            if (measured.Length == 0)
                measured = [.. all.Select(ranks => new VirtualMeasurement(setting, ranks, routing, whole: null))];
            for (int i = 0; i < all.Length; i++)
            {
                for (int v = 0; v < variants.Count; v++)
                {
                    var work = measured[i].Run(layer, decisions[(all[i], v)][layer]);
                    if (!timed)
                        continue;
                    double seconds = VirtualRanks.Rows(work, link).Seconds;
                    double free = VirtualRanks.Rows(work with { Convert = new double[all[i]] }, link).Seconds;
                    samples.Add(new(all[i], false, v, layer, seconds, [.. Enumerable.Range(0, all[i]).Select(work.ExpertSeconds)], work.Convert, free));
                }
            }
        }

        void Alone(Action work)
        {
            if (rendezvous is null)
                work();
            else
                rendezvous.Alone(work);
        }
    }
}
