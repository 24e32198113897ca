namespace DualSparse.Benchmarking;

/// <summary>Statistics of repeated measurements.</summary>
internal static class Statistics
{
    /// <summary>The middle value; of an even number, the mean of the middle two.</summary>
    public static double Median(IReadOnlyList<double> values)
    {
        double[] sorted = [.. values.Order()];
        int middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    /// <summary>The least value that at least a share of all are not above.</summary>
    public static double Quantile(IReadOnlyList<double> values, double share) => values.Order().ElementAt(Math.Max(0, (int)Math.Ceiling(share * values.Count) - 1));

    /// <summary>
    /// A 95 % interval of the median: the narrowest pair of order statistics, equally far from both ends, with the median between them in
    /// at least 95 % of samples (each value is below the median with probability ½). With fewer than six values it is the whole range, and
    /// less than 95 %.
    /// </summary>
    public static (double Low, double High) MedianInterval(IReadOnlyList<double> values)
    {
        double[] sorted = [.. values.Order()];
        int n = sorted.Length, k = 1;
        if (n > 1000)
        {
            // The exact probabilities would underflow; the normal distribution approximates them.
            k = (int)(n / 2.0 - 0.98 * Math.Sqrt(n));
            return (sorted[k - 1], sorted[n - k]);
        }

        double chance = Math.Pow(0.5, n), below = chance;
        while ((below += chance *= (n - k + 1.0) / k) <= 0.025)
            k++;
        return (sorted[k - 1], sorted[n - k]);
    }
}
