using DualSparse.Engine.Moe;

namespace DualSparse.Evaluation;

/// <summary>
/// Percentile intervals by drawing units (windows of text, items of a task) with replacement. Every figure meets the same draws, and a
/// difference is taken within a unit, so what units have in common cancels.
/// </summary>
public static class PairedBootstrap
{
    /// <summary>How often the units are drawn.</summary>
    public const int Resamples = 2000;

    private const int Seed = 20260101;

    /// <summary>The interval of Σ sums / Σ weights.</summary>
    /// <param name="sums">Each unit's sum.</param>
    /// <param name="weights">What each is a sum over, above 0.</param>
    /// <exception cref="ArgumentException">There is no unit, or the lists differ in length.</exception>
    public static Interval Ratio(IReadOnlyList<double> sums, IReadOnlyList<double> weights)
    {
        int units = sums.Count;
        if (units == 0 || weights.Count != units)
            throw new ArgumentException($"{units} sums over {weights.Count} weights, expected as many of both and at least one");
        var random = new Random(Seed);
        double[] drawn = new double[Resamples];
        for (int r = 0; r < Resamples; r++)
        {
            double sum = 0, weight = 0;
            for (int i = 0; i < units; i++)
            {
                int unit = random.Next(units);
                sum += sums[unit];
                weight += weights[unit];
            }

            drawn[r] = sum / weight;
        }

        Array.Sort(drawn);
        return new Interval(sums.Sum() / weights.Sum(), Percentile(drawn, 0.025), Percentile(drawn, 0.975));
    }

    /// <summary>The interval of a mean.</summary>
    /// <exception cref="ArgumentException">There is no unit.</exception>
    public static Interval Mean(IReadOnlyList<double> values) => Ratio(values, [.. Enumerable.Repeat(1.0, values.Count)]);

    private static double Percentile(double[] sorted, double share)
    {
        double place = share * (sorted.Length - 1);
        int below = (int)place;
        return sorted[below] + (place - below) * (sorted[Math.Min(below + 1, sorted.Length - 1)] - sorted[below]);
    }
}
