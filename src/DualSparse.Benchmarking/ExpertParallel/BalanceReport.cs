using DualSparse.Engine;
using DualSparse.Kernels.Packing;

namespace DualSparse.Benchmarking.ExpertParallel;

/// <summary>A layer of it, in medians over rounds.</summary>
/// <param name="Over">The highest of the ranks' times over their mean, in the first variant.</param>
/// <param name="ExpertsShare">The slowest rank's experts over the layer, in the first variant.</param>
/// <param name="ExpertsGain">As for all layers.</param>
/// <param name="LayerGain">Likewise.</param>
internal sealed record LayerFigures(double Over, double ExpertsShare, double ExpertsGain, double LayerGain);

/// <summary>A variant on so many ranks, in figures: medians over layers and rounds.</summary>
/// <param name="Ranks">N.</param>
/// <param name="Real">Whether they are real.</param>
/// <param name="Variant">Its name.</param>
/// <param name="ExpertsMilliseconds">The slowest rank's experts.</param>
/// <param name="ExpertsGain">Those of the first variant over them, each time in the same round and layer.</param>
/// <param name="LayerMilliseconds">The layer on the slowest rank.</param>
/// <param name="LayerGain">That of the first variant over it.</param>
/// <param name="Bound">(max − mean) / max of the ranks' times in the first variant: the share of its experts' time that perfect balance would save.</param>
/// <param name="Taken">The share of that which is saved; more than 1 where work is saved altogether.</param>
/// <param name="Dropped">The share of all rows' work that isn't computed.</param>
/// <param name="Switched">The share of pairs computed in the lower precision.</param>
/// <param name="ConvertMilliseconds">Converting on the rank where it takes the longest.</param>
/// <param name="ExposedMilliseconds">What of it the layer waits for.</param>
/// <param name="DecisionMicroseconds">What a rank needs to decide a layer, without the all-gather.</param>
/// <param name="LoadsMicroseconds">The all-gather on real ranks, where they come together.</param>
/// <param name="MessageBytes">What it tells the others.</param>
/// <param name="RankMilliseconds">[ranks] each one's experts, the mean over layers of medians over rounds.</param>
internal sealed record BalanceFigures(
    int Ranks, bool Real, string Variant, double ExpertsMilliseconds, double ExpertsGain, double LayerMilliseconds, double LayerGain, double Bound, double Taken, double Dropped,
    double Switched, double ConvertMilliseconds, double ExposedMilliseconds, double DecisionMicroseconds, double LoadsMicroseconds, int MessageBytes, double[] RankMilliseconds)
{
    /// <summary>Each layer by itself.</summary>
    public IReadOnlyList<LayerFigures> Layers { get; init; } = [];

    /// <summary>Sums a run up.</summary>
    public static IReadOnlyList<BalanceFigures> Of(BalanceRun run, EpSetting setting)
    {
        var neurons = new NeuronLayout(setting.Shape.Neurons);
        return [.. run.Samples.GroupBy(s => (s.Ranks, s.Real)).OrderByDescending(g => g.Key.Real).ThenBy(g => g.Key.Ranks).SelectMany(group =>
        {
            var first = group.Where(s => s.Variant == 0).ToArray();
            double bound = Statistics.Median([.. first.Select(s => 1 - s.Experts.Average() / s.Experts.Max())]);
            return run.Variants.Select((variant, v) =>
            {
                var own = group.Where(s => s.Variant == v).ToArray();
                var decisions = run.Decisions[(group.Key.Ranks, v)];
                double gain = Statistics.Median([.. first.Zip(own, (a, b) => a.Experts.Max() / b.Experts.Max())]);
                var counts = default(DropCounts);
                double pairs = 0, switched = 0;
                for (int layer = 0; layer < decisions.Length; layer++)
                {
                    foreach (var plan in decisions[layer].Plans)
                        counts += DropCounts.Of(plan, 0, plan.Tokens, neurons);
                    long[] loads = EpRouting.AllLoads(decisions[layer].Plans, decisions[layer].Placement);
                    for (int rank = 0; rank < loads.Length; rank++)
                        (pairs, switched) = (pairs + loads[rank], switched + (decisions[layer].Low.Length > 0 && decisions[layer].Low[rank] ? loads[rank] : 0));
                }

                return new BalanceFigures(
                    group.Key.Ranks, group.Key.Real, variant.Name, 1e3 * Median(s => s.Experts.Max()), gain, 1e3 * Median(s => s.Seconds),
                    Statistics.Median([.. first.Zip(own, (a, b) => a.Seconds / b.Seconds)]), bound, bound > 0 ? (1 - 1 / gain) / bound : 0, counts.Rate, switched / pairs,
                    1e3 * Median(s => s.Convert.Max()), 1e3 * Median(s => s.Seconds - s.Unconverted), 1e6 * Statistics.Median([.. decisions.Select(d => d.Seconds)]), 1e6 * Median(s => s.Loads), decisions[0].MessageBytes,
                    [.. Enumerable.Range(0, group.Key.Ranks).Select(rank => 1e3 * own.GroupBy(s => s.Layer).Average(layer => Statistics.Median([.. layer.Select(s => s.Experts[rank])])))])
                {
                    Layers = [.. first.Zip(own).GroupBy(pair => pair.First.Layer).OrderBy(layer => layer.Key).Select(layer => new LayerFigures(
                        Of(layer, (none, _) => none.Experts.Max() / none.Experts.Average()), Of(layer, (none, _) => none.Experts.Max() / none.Seconds),
                        Of(layer, (none, with) => none.Experts.Max() / with.Experts.Max()), Of(layer, (none, with) => none.Seconds / with.Seconds)))],
                };

                static double Of(IEnumerable<(BalanceSample, BalanceSample)> layer, Func<BalanceSample, BalanceSample, double> figure) =>
                    Statistics.Median([.. layer.Select(pair => figure(pair.Item1, pair.Item2))]);

                double Median(Func<BalanceSample, double> figure) => Statistics.Median([.. own.Select(figure)]);
            });
        })];
    }
}
