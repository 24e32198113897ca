namespace DualSparse.Benchmarking;

/// <summary>What is made of repeated measurements.</summary>
internal static class Statistics
{
    /// <summary>The middle value; of an even number, the mean of the middle two.</summary>
    public static double Median(IReadOnlyList<double> values)
    {
        double[] sorted = [.. values.Order()];
        int middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    /// <summary>
    /// A 95 % interval of the median: the narrowest pair of order statistics, as far from either end, that a median lies between in at
    /// least 95 of 100 samples (n values fall below their median as n tosses of a coin do). Fewer than six values: from the least to the
    /// greatest, which is less sure.
    /// </summary>
    public static (double Low, double High) MedianInterval(IReadOnlyList<double> values)
    {
        double[] sorted = [.. values.Order()];
        int n = sorted.Length, k = 1;
        if (n > 1000)
        {
            // The exact chances leave what a number can hold; they are a normal distribution's by now.
            k = (int)(n / 2.0 - 0.98 * Math.Sqrt(n));
            return (sorted[k - 1], sorted[n - k]);
        }

        double chance = Math.Pow(0.5, n), below = chance;
        while ((below += chance *= (n - k + 1.0) / k) <= 0.025)
            k++;
        return (sorted[k - 1], sorted[n - k]);
    }
}
