using DualSparse.Engine;

namespace DualSparse.Evaluation;

/// <summary>
/// Percentile intervals by drawing units (windows of text, items of a task) with replacement. Every statistic has the same draws, and
/// differences are taken within a unit, so what its runs have in common cancels.
/// </summary>
internal static class PairedBootstrap
{
    /// <summary>The number of resamples.</summary>
    public const int Resamples = 2000;

    private const int Seed = 20260101;

    /// <summary>The interval of Σ sums / Σ weights.</summary>
    /// <param name="sums">Each unit's sum.</param>
    /// <param name="weights">Each unit's weight, above 0.</param>
    /// <exception cref="ArgumentException">There is no unit, or the lists differ in length.</exception>
    public static Interval Ratio(IReadOnlyList<double> sums, IReadOnlyList<double> weights)
    {
        int units = sums.Count;
        if (units == 0 || weights.Count != units)
            throw new ArgumentException($"{units} sums over {weights.Count} weights, expected equal numbers, at least one");
        return Draw(units, drawn =>
        {
            double sum = 0, weight = 0;
            foreach (int unit in drawn)
            {
                sum += sums[unit];
                weight += weights[unit];
            }

            return sum / weight;
        });
    }

    /// <summary>The interval of a mean.</summary>
    /// <exception cref="ArgumentException">There is no unit.</exception>
    public static Interval Mean(IReadOnlyList<double> values) => Ratio(values, [.. Enumerable.Repeat(1.0, values.Count)]);

    /// <summary>The interval of a median, which is robust to outliers.</summary>
    /// <exception cref="ArgumentException">There is no unit.</exception>
    public static Interval Median(IReadOnlyList<double> values)
    {
        if (values.Count == 0)
            throw new ArgumentException("the median of no values");
        double[] sorted = new double[values.Count];
        return Draw(values.Count, drawn =>
        {
            for (int i = 0; i < sorted.Length; i++)
                sorted[i] = values[drawn[i]];
            Array.Sort(sorted);
            return Percentile(sorted, 0.5);
        });
    }

    // A statistic of all units, each once, and the interval of 95 % of its values over drawn units.
    private static Interval Draw(int units, Func<int[], double> statistic)
    {
        int[] drawn = [.. Enumerable.Range(0, units)];
        double value = statistic(drawn);
        var random = new Random(Seed);
        double[] values = new double[Resamples];
        for (int r = 0; r < Resamples; r++)
        {
            for (int i = 0; i < units; i++)
                drawn[i] = random.Next(units);
            values[r] = statistic(drawn);
        }

        Array.Sort(values);
        return new Interval(value, Percentile(values, 0.025), Percentile(values, 0.975));
    }

    private static double Percentile(double[] sorted, double share)
    {
        double position = share * (sorted.Length - 1);
        int below = (int)position;
        return sorted[below] + (position - below) * (sorted[Math.Min(below + 1, sorted.Length - 1)] - sorted[below]);
    }
}
