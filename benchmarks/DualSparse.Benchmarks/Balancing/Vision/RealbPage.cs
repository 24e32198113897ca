using System.Text;
using DualSparse.Engine;

namespace DualSparse.Benchmarks.Balancing.Vision;

/// <summary>Items of one or several tasks, and every variant's figures on them; the first isn't balanced.</summary>
/// <param name="Name">What they are.</param>
/// <param name="Variants">The figures.</param>
internal sealed record RealbPool(string Name, IReadOnlyList<RealbFigures> Variants);

/// <summary>Losses and loads as tables.</summary>
internal static class RealbPage
{
    /// <summary>Tasks together, those first whose names begin alike; then each by itself.</summary>
    public static IReadOnlyList<RealbPool> Pools(IReadOnlyDictionary<string, IReadOnlyList<RealbFigures>> figures)
    {
        RealbPool[] alike = [.. figures.GroupBy(task => task.Key.Split('_')[0]).Where(group => group.Count() > 1).Select(group => new RealbPool(
            $"{group.Key}: {group.Count()} tasks", RealbFigures.Together([.. group.Select(task => task.Value)])))];
        return [.. alike, .. figures.Select(task => new RealbPool(task.Key, task.Value))];
    }

    /// <summary>The page.</summary>
    public static string Write(IReadOnlyDictionary<string, IReadOnlyList<RealbFigures>> figures, LoadTables loads)
    {
        var text = new StringBuilder();
        foreach (var pool in Pools(figures))
            Losses(text, pool);
        Loads(text, loads);
        return text.ToString().Replace("(-", "(−", StringComparison.Ordinal).Replace(" -", " −", StringComparison.Ordinal);
    }

    private static void Losses(StringBuilder text, RealbPool pool)
    {
        var plain = pool.Variants[0];
        text.Append(Invariant($"\n## {pool.Name}, {plain.Right.Length} items: bf16 {plain.Accuracy:0.00%}\n\n"));
        text.Append("KL of none is what the order of sums does.\n\n| ranks | balance | in the lower precision | dropped | load ÷ | taken of the bound | acc | change, points | right → wrong | wrong → right | KL |\n|---|---|---|---|---|---|---|---|---|---|---|\n");
        foreach (var of in pool.Variants.Skip(1))
        {
            var (lost, won) = of.Flips(plain);
            double taken = of.Bound > 0 ? (1 - 1 / of.Over) / of.Bound : 0;
            string ranks = of.Name.StartsWith("all ", StringComparison.Ordinal) ? "any" : $"{of.Ranks}";
            text.Append(Invariant($"| {ranks} | {of.Name} | {of.SwitchedShare:0.0%} | {of.Dropped:0.0%} | {of.Over:0.00} | {taken:0.00} of {of.Bound:0.0%} | {of.Accuracy:0.00%} | {Points(of.Change(plain))} | {lost} | {won} | {Kl(of.KullbackLeibler())} |\n"));
        }
    }

    private static void Loads(StringBuilder text, LoadTables loads)
    {
        text.Append(Invariant($"\n## Loads: {loads.Passes} passes of {loads.Rows:0} rows, {loads.VisionShare:0.0%} of them pictures'\n\n"));
        text.Append("| ranks | placement | layer | max / mean of a pass | highest rank over all passes | share of pictures' rows by rank | hot | hot and above 0.7 |\n|---|---|---|---|---|---|---|---|\n");
        foreach (int ranks in loads.Ranks)
        {
            foreach (bool packed in new[] { false, true })
            {
                for (int layer = 0; layer < loads.Layers; layer++)
                {
                    var of = loads.Of(layer, ranks, packed);
                    text.Append(Invariant($"| {ranks} | {(packed ? "packed" : "in order")} | {layer} | {of.Over:0.00} | {of.Loads.Max():0.00} | {of.Vision.Min():0%} to {of.Vision.Max():0%} | {of.Hot:0%} | {of.HotVision:0%} |\n"));
                }
            }
        }
    }

    private static string Points(Interval change) => Invariant($"{100 * change.Value:+0.00;-0.00;0.00} ({100 * change.Low:+0.00;-0.00;0.00} to {100 * change.High:+0.00;-0.00;0.00})");

    private static string Kl(Interval kl) => Invariant($"{kl.Value:G3} ({kl.Low:G3} to {kl.High:G3})");

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
