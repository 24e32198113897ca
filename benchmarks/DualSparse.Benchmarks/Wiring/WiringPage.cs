using System.Globalization;
using System.Text;
using DualSparse.Benchmarks.FineTuning;

namespace DualSparse.Benchmarks.Wiring;

/// <summary>The comparison as a page.</summary>
internal static class WiringPage
{
    /// <summary>Means over seeds with their intervals, differences from the rival of the same seeds, and the least difference that the seeds resolve.</summary>
    public static string Of(IReadOnlyList<WiringRun> runs, string tokens, string windows)
    {
        var text = new StringBuilder();
        int[] seeds = [.. runs.Select(run => run.Seed).Distinct()];
        text.Append("# Wirings of experts at equal tokens and equal active parameters\n\n");
        text.Append($"{tokens} tokens each, seeds {string.Join(", ", seeds)}; losses in nats a token on {windows} windows of each held-out text. Intervals are 95 %, by Student's t over seeds; differences are of runs of the same seed. ");
        text.Append("Least difference: what two means must differ by to be significant at 5 %, from the spread within all variants.\n");
        foreach (string name in runs[0].Losses.Keys)
        {
            text.Append($"\n## {name}\n\n| variant | experts a token | loss | less its rival | rival | training, min |\n|---|---|---|---|---|---|\n");
            foreach (var variant in WiringVariant.All)
            {
                var rival = variant.Rival;
                string difference = rival == variant ? "" : Interval([.. Losses(variant, name).Zip(Losses(rival, name), (one, other) => one - other)]);
                string minutes = string.Join(", ", runs.Where(run => run.Variant == variant).Select(run => (run.Seconds / 60).ToString("0.0", CultureInfo.InvariantCulture)));
                text.Append($"| {variant.Name} | {variant.Active} | {Interval(Losses(variant, name))} | {difference} | {(rival == variant ? "" : rival.Name)} | {minutes} |\n");
            }

            if (seeds.Length > 1)
                text.Append($"\nLeast difference: {Show(SeedStatistics.LeastDifference([.. WiringVariant.All.Select(variant => Losses(variant, name))]))}.\n");
        }

        return text.ToString();

        double[] Losses(WiringVariant variant, string name) => [.. runs.Where(run => run.Variant == variant).Select(run => run.Losses[name])];
    }

    private static string Interval(IReadOnlyList<double> values) =>
        SeedStatistics.Of(values) is var (mean, half) && double.IsNaN(half) ? Show(mean) : $"{Show(mean)} ± {Show(half)}";

    private static string Show(double value) => value.ToString("0.0000", CultureInfo.InvariantCulture).Replace('-', '−');
}
