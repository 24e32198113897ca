using DualSparse.Distributed;
using DualSparse.Distributed.Measuring;
using DualSparse.Engine.Moe;
using DualSparse.Kernels.Threading;

namespace DualSparse.Benchmarking.ExpertParallel;

/// <summary>One layer of one round, by everybody who runs it.</summary>
/// <param name="Layer">Which.</param>
/// <param name="Lanes">[real ranks] what each has done; empty: there are none.</param>
/// <param name="OneSeconds">[counts of ranks] one process with all cores on the rows of so many ranks.</param>
/// <param name="Virtual">[counts of ranks] so many virtual ranks, each one's work done alone on the machine.</param>
/// <param name="Beside">As many virtual ranks as real ones, each one's work done while other real ranks do the same.</param>
internal sealed record EpSample(int Layer, RankLane[] Lanes, double[] OneSeconds, VirtualTime[] Virtual, VirtualTime Beside)
{
    /// <summary>The layer over the real ranks: the slowest one's time.</summary>
    public double RealSeconds => Lanes.Max(lane => lane.Seconds);
}

/// <summary>All that was measured.</summary>
/// <param name="RealRanks">Real ranks; 0: none.</param>
/// <param name="Counts">The counts of ranks, the real one first.</param>
/// <param name="Link">The way between virtual ranks.</param>
/// <param name="Samples">Each layer of each round.</param>
/// <param name="OneThreads">Threads of the one process.</param>
internal sealed record EpRun(int RealRanks, IReadOnlyList<int> Counts, VirtualLink Link, IReadOnlyList<EpSample> Samples, int OneThreads);

/// <summary>
/// The MoE part of layers after their routers, on real ranks (where there are any), on virtual ones, and in one process with all cores on the same
/// rows. In each round all take their turn at each layer.
/// </summary>
internal static class EpBenchmark
{
    // Connections, pages, code.
    private const int UntimedRounds = 1;

    /// <summary>Measures; all ranks call it alike.</summary>
    /// <param name="group">The real ranks; null: none.</param>
    /// <param name="setting">The layers.</param>
    /// <param name="routing">Where rows go.</param>
    /// <param name="virtualRanks">Counts of virtual ranks.</param>
    /// <param name="given">The way between them; null: it is measured between the real ones, and carries what those of one machine do.</param>
    /// <param name="oneMachine">Whether all real ranks are on one machine.</param>
    /// <param name="progress">Told what is done.</param>
    /// <returns>On rank 0; another: null.</returns>
    public static EpRun? Run(RankGroup? group, EpSetting setting, EpRouting routing, IReadOnlyList<int> virtualRanks, VirtualLink? given, bool oneMachine, Action<string>? progress = null)
    {
        var link = given ?? Measured(group!, setting, oneMachine);
        progress?.Invoke("making weights");
        int[] counts = [.. (group is null ? virtualRanks : [group.Size, .. virtualRanks]).Distinct()];
        using var real = group is null ? null : new RealRanks(group, setting, routing);
        // Ranks of one machine share its memory: what they take beside each other is another time than alone.
        using var besides = group is null ? null : new VirtualMeasurement(setting, group.Size, routing, whole: null);
        var rendezvous = group is null ? null : new Rendezvous(group);
        bool leads = group is null || group.Rank == 0;
        Alone? alone = null;
        Alone(() => alone = new Alone(setting, routing, counts));
        List<EpSample> samples = [];
        for (int round = -UntimedRounds; round < setting.Rounds; round++)
        {
            if (leads && round >= 0)
                progress?.Invoke($"round {round + 1} of {setting.Rounds}");
            for (int layer = 0; layer < setting.Layers; layer++)
            {
                int l = layer;
                var lanes = real?.Run(layer) ?? [];
                rendezvous?.Barrier();
                var beside = besides?.Run(layer, link) ?? default;
                Alone(() =>
                {
                    var sample = alone!.Run(l, lanes, link) with { Beside = beside };
                    if (round >= 0)
                        samples.Add(sample);
                });
            }
        }

        alone?.Dispose();
        return leads ? new EpRun(group?.Size ?? 0, counts, link, samples, ThreadTeam.Available) : null;

        void Alone(Action work)
        {
            if (rendezvous is null)
                work();
            else
                rendezvous.Alone(work);
        }
    }

    /// <summary>The way between real ranks.</summary>
    internal static VirtualLink Measured(RankGroup group, EpSetting setting, bool oneMachine)
    {
        if (group.Rank == 0)
            return new VirtualLink(RankProbe.Measure(group, setting.Weights, setting.Threads).Link, Carries: !oneMachine);
        RankProbe.Answer(group, setting.Weights, setting.Threads);
        return new VirtualLink(default, Carries: !oneMachine);
    }

    /// <summary>What rank 0 measures while the others leave it the machine.</summary>
    private sealed class Alone : IDisposable
    {
        private readonly LayerRunner one;
        private readonly VirtualMeasurement[] ranks;
        private readonly RoutingPlan[][] joined;

        public Alone(EpSetting setting, EpRouting routing, int[] counts)
        {
            one = new LayerRunner(setting, 1, rank: null, ThreadTeam.Available, peers: null, counts.Max() * setting.Tokens);
            ranks = [.. counts.Select(count => new VirtualMeasurement(setting, count, routing, one.Experts))];
            joined = [.. ranks.Select(of => Enumerable.Range(0, setting.Layers).Select(l => EpRouting.Joined([.. of.Plans.Select(rank => rank[l])])).ToArray())];
        }

        public EpSample Run(int layer, RankLane[] lanes, VirtualLink link)
        {
            double[] seconds = new double[ranks.Length];
            var times = new VirtualTime[ranks.Length];
            for (int i = 0; i < ranks.Length; i++)
            {
                one.Use(joined[i]);
                one.Run(layer);
                seconds[i] = one.Clock.Segments[^1].To;
                times[i] = ranks[i].Run(layer, link);
            }

            return new EpSample(layer, lanes, seconds, times, Beside: default);
        }

        public void Dispose()
        {
            Array.ForEach(ranks, of => of.Dispose());
            one.Dispose();
        }
    }
}
