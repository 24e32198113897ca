namespace DualSparse.Benchmarks.FineTuning;

/// <summary>Statistics over a few seeds, by Student's t.</summary>
internal static class SeedStatistics
{
    // The quantile .975 by degrees of freedom, from 1 on.
    private static readonly double[] s_quantiles =
        [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086];

    /// <summary>Mean and the half width of its 95 % interval, NaN for a single value.</summary>
    public static (double Mean, double Half) Of(IReadOnlyList<double> values)
    {
        double mean = values.Average();
        return (mean, Quantile(values.Count - 1) * Math.Sqrt(SquareSum(values) / (values.Count - 1) / values.Count));
    }

    /// <summary>
    /// The least difference of two groups' means that is significant at 5 %: t·s·√(2/n), s from within all groups. Groups have equal numbers.
    /// </summary>
    public static double LeastDifference(IReadOnlyList<IReadOnlyList<double>> groups)
    {
        int freedom = groups.Sum(group => group.Count - 1);
        return Quantile(freedom) * Math.Sqrt(groups.Sum(SquareSum) / freedom * 2 / groups[0].Count);
    }

    private static double Quantile(int freedom) => freedom < 1 ? double.NaN : freedom <= s_quantiles.Length ? s_quantiles[freedom - 1] : 1.96;

    private static double SquareSum(IReadOnlyList<double> values) => values.Average() is var mean ? values.Sum(v => (v - mean) * (v - mean)) : 0;
}
