using System.Diagnostics;
using DualSparse.Distributed;
using DualSparse.Distributed.Measuring;
using DualSparse.Engine;
using DualSparse.Engine.Moe.Overlap;
using DualSparse.Kernels.Threading;
using DualSparse.Training;

namespace DualSparse.Benchmarking.ShortcutExperts;

/// <summary>A variant's forward and backward pass, measured.</summary>
/// <param name="Variant">Which.</param>
/// <param name="Seconds">With the places that the schedule chose, on the slowest rank: computing, and waits.</param>
/// <param name="ComputeSeconds">Without waits: the median of all passes, which compute the same.</param>
/// <param name="TravelSeconds">Rows, sums and their gradients under way.</param>
/// <param name="Bound">What the operators' times and the ways allow.</param>
/// <param name="OverBound">A pass's time over what its own computing and the ways allow: the median.</param>
/// <param name="Places">Behind what the experts compute, forward and backward.</param>
/// <param name="BestSeconds">With the best places that were tried.</param>
/// <param name="BestPlaces">These.</param>
internal sealed record ScMoeTrained(ScMoeVariant Variant, double Seconds, double ComputeSeconds, double TravelSeconds, double Bound, double OverBound, string Places, double BestSeconds, string BestPlaces);

/// <summary>The same pairs of layers forward and backward, over ranks with windows of their own. What becomes of dense gradients is not counted.</summary>
internal static class ScMoeTraining
{
    // What the schedule measures before it chooses.
    private const int FirstPasses = 4;

    /// <summary>Measures; all ranks call it alike.</summary>
    /// <returns>On rank 0; another: null.</returns>
    public static IReadOnlyList<ScMoeTrained>? Run(RankGroup group, ScMoeSetting setting, IReadOnlyList<ScMoeVariant> variants, Action<string>? progress)
    {
        List<ScMoeTrained> results = [];
        foreach (var variant in variants)
        {
            progress?.Invoke($"forward and backward: {variant.Name}");
            var result = Run(group, setting, variant);
            if (result is not null)
                results.Add(result);
        }

        return group.Rank == 0 ? results : null;
    }

    private static ScMoeTrained? Run(RankGroup group, ScMoeSetting setting, ScMoeVariant variant)
    {
        var config = variant.Config(setting.Hidden, setting.Tokens, setting.Experts);
        var rendezvous = new Rendezvous(group);
        using var team = new ThreadTeam(setting.Threads);
        using var model = new TrainableModel(config, team, ProductFormat.F32, new TrainingParts(group.Size, group));
        Initialisation.Fill(model.Parameters, config, Initialisation.DefaultDeviation, seed: 1, team);
        model.ValuesChanged();
        var random = new Random(group.Rank);
        int[] ids = [.. Enumerable.Range(0, setting.Tokens).Select(_ => random.Next(config.VocabSize))];
        var batch = new WindowBatch(1, setting.Tokens, ids, [.. ids.Skip(1), -1]);
        long waited = 0;
        // The schedule's own measurement takes what waits there are in its passes.
        for (int pass = 0; pass < FirstPasses; pass++)
            Pass();
        group.Waited = (from, to) => waited += to - from;
        List<double> computing = [], ratios = [];
        double gain = 0, travel = 0;
        foreach (var way in model.Schedule?.Known ?? [])
        {
            travel += way.Times.Lanes.Values.Sum(lane => lane.Dispatch + lane.Combine);
            gain += SlotChoice.Orders(way.Order).Min(order => way.Times.Makespan(order)) - way.Times.Operators.Values.Sum();
        }

        double chosen = Measure(setting.Rounds);
        string name = Places(model.Schedule, config);
        double over = Statistics.Median(ratios);
        var (best, bestName) = (chosen, name);
        if (model.Schedule is { } schedule)
        {
            var kept = schedule.Places.Single();
            foreach (var (forward, backward) in Others(schedule, kept.Value))
            {
                schedule.Places[kept.Key] = (forward, backward);
                double other = Measure((setting.Rounds + 2) / 3);
                if (other < best)
                    (best, bestName) = (other, Places(schedule, config));
            }
        }
        else
        {
            // Nothing may move: what is waited is under way.
            travel = gain = chosen;
            over = 1;
        }

        group.Waited = null;
        double compute = Statistics.Median(computing);
        return group.Rank == 0 ? new ScMoeTrained(variant, compute + chosen, compute, travel, compute + gain, over, name, compute + best, bestName) : null;

        // What the slowest rank waits. On another rank than 0 the figures are its own.
        double Measure(int rounds)
        {
            List<double> waits = [];
            for (int round = 0; round < rounds; round++)
            {
                waited = 0;
                double[] own = [Pass(), 0];
                own[1] = (double)waited / Stopwatch.Frequency;
                double[] slowest = rendezvous.Gather(own) is { Length: > 0 } all ? all.MaxBy(rank => rank[0])! : own;
                waits.Add(slowest[1]);
                computing.Add(slowest[0] - slowest[1]);
                ratios.Add(slowest[0] / (slowest[0] - slowest[1] + gain));
            }

            return Statistics.Median(waits);
        }

        double Pass()
        {
            rendezvous.Barrier();
            rendezvous.Barrier();
            waited = 0;
            long began = Stopwatch.GetTimestamp();
            model.Backward(batch, new LossCoefficients(0.01f, 0));
            return Stopwatch.GetElapsedTime(began).TotalSeconds;
        }
    }

    // Every place of one way beside the chosen one of the other.
    private static IEnumerable<(Operator Forward, Operator Backward)> Others(DualSparse.Training.Ranks.PassSchedule schedule, (Operator Forward, Operator Backward) chosen)
    {
        var (forward, backward) = (Behind(schedule.Known[0].Order), Behind(schedule.Known[1].Order));
        return [.. forward.Where(place => place != chosen.Forward).Select(place => (place, chosen.Backward)), .. backward.Where(place => place != chosen.Backward).Select(place => (chosen.Forward, place))];

        static Operator[] Behind(Operator[] order) => [.. SlotChoice.Orders(order).Select(of => of[Array.FindIndex(of, step => step.Kind == OperatorKind.Experts) - 1])];
    }

    private static string Places(DualSparse.Training.Ranks.PassSchedule? schedule, DualSparse.Models.ModelConfig config) =>
        schedule is null || config.Moe is null ? "behind dispatch" : string.Join("; ", schedule.Places.Values.Select(place => $"behind {ScMoeBenchmark.Name(place.Forward)}, back behind {ScMoeBenchmark.Name(place.Backward)}"));
}
