using DualSparse.Engine;

namespace DualSparse.Evaluation.Sweep;

/// <summary>One method's KL as a multiple of another's on the same windows.</summary>
/// <param name="Text">The text.</param>
/// <param name="Rate">The target drop rate of both.</param>
/// <param name="Method">The method.</param>
/// <param name="Beside">The method that it is compared with; of several orders their mean.</param>
/// <param name="Ratio">KL(method) / KL(beside), with the interval of a paired bootstrap over windows.</param>
internal sealed record SweepLink(string Text, double Rate, string Method, string Beside, Interval Ratio);

/// <summary>Compares the methods of a sweep.</summary>
internal static class SweepLinks
{
    /// <summary>
    /// Every method against the paper's rule; stored and reversed neurons also against random ones, and each random order against the mean
    /// of all, which shows the spread of orders by chance.
    /// </summary>
    /// <param name="points">The points of <see cref="SweepRun.Run"/>.</param>
    public static IReadOnlyList<SweepLink> Of(IReadOnlyList<SweepPoint> points)
    {
        List<SweepLink> links = [];
        foreach (var same in points.GroupBy(p => (p.Report.Name, p.Rate)))
        {
            var kinds = same.GroupBy(p => SweepMethods.Kind(p.Method.Name)).ToDictionary(g => g.Key, g => g.ToArray());
            foreach (string kind in kinds.Keys.Where(k => k != SweepMethods.Paper))
                Add(kind, kinds[kind], SweepMethods.Paper);
            foreach (var point in same.Where(p => SweepMethods.Kind(p.Method.Name) is SweepMethods.Stored or SweepMethods.Random or SweepMethods.Reversed))
                Add(point.Method.Name, [point], SweepMethods.Random);

            void Add(string name, SweepPoint[] points, string beside)
            {
                // A ratio needs losses above 0.
                if (kinds.TryGetValue(beside, out var others) && Sums(others).All(sum => sum > 0))
                    links.Add(new SweepLink(same.Key.Name, same.Key.Rate, name, beside, PairedBootstrap.Ratio(Sums(points), Sums(others))));
            }
        }

        return links;
    }

    // By window, the mean KL of several points.
    private static double[] Sums(SweepPoint[] points) =>
        [.. Enumerable.Range(0, points[0].Report.Windows.Count).Select(w => points.Average(p => p.Report.Windows[w].Loss.KullbackLeibler))];
}
