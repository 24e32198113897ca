namespace DualSparse.Engine.Moe.Drop;

/// <summary>One layer's thresholds by rate of a method, from 0 (nothing dropped) to 1, interpolated linearly between the method's points.</summary>
internal sealed class RateCurve
{
    private readonly double[] drops;
    private readonly float[] majors;
    private readonly float[] minors;
    private readonly double[] rates;

    /// <summary>The curve of a layer of a method; past its last point the last line is extended.</summary>
    public RateCurve(DropMethod method, int layer)
    {
        var points = method.Points;
        drops = [0, .. points.Select(p => p.Drop), 1];
        majors = [0, .. points.Select(p => p.Thresholds[layer].Major), 0];
        minors = [0, .. points.Select(p => p.Thresholds[layer].Minor), 0];
        rates = points.All(p => p.Rates is not null) ? [0, .. points.Select(p => p.Rates![layer]), 1] : [];
        int last = points.Count;
        float extension = drops[last] < 1 ? (float)((1 - drops[last]) / (drops[last] - drops[last - 1])) : 0;
        majors[^1] = majors[last] + extension * (majors[last] - majors[last - 1]);
        minors[^1] = minors[last] + extension * (minors[last] - minors[last - 1]);
        Scales = method.Scales?[layer] is { } scales ? [.. scales] : null;
    }

    /// <summary>[experts] the divisors of the thresholds; null: no divisors.</summary>
    public float[]? Scales { get; }

    /// <summary>Whether any threshold drops something.</summary>
    public bool Drops => minors[^1] > 0;

    /// <summary>Whether the layer's rates on held-out text are known.</summary>
    public bool Known => rates.Length > 0;

    /// <summary>The thresholds of a rate of the method, before an expert's scale.</summary>
    public DropThresholds At(double drop)
    {
        int above = Above(drops, drop);
        double share = Share(above, drop);
        return new(Between(majors, above, share), Between(minors, above, share));

        static float Between(float[] values, int above, double share) => (float)(values[above - 1] + share * (values[above] - values[above - 1]));
    }

    /// <summary>This layer's rate on held-out text at a rate of the method.</summary>
    public double RateAt(double drop)
    {
        int above = Above(drops, drop);
        return rates[above - 1] + Share(above, drop) * (rates[above] - rates[above - 1]);
    }

    /// <summary>The quantile of a pair's minor half: the lowest rate whose T_minor exceeds its score; 1 if none does.</summary>
    public double MinorQuantile(float score) => Quantile(minors, score);

    /// <summary>The quantile of a pair's major half: the lowest rate whose T_major exceeds its score; 1 if none does.</summary>
    public double MajorQuantile(float score) => Quantile(majors, score);

    private double Quantile(float[] thresholds, float score)
    {
        if (score >= thresholds[^1])
            return 1;
        // The first point above it: thresholds rise, so halving finds it.
        int low = 0, high = thresholds.Length - 1;
        while (high - low > 1)
        {
            int middle = (low + high) / 2;
            if (thresholds[middle] > score)
                high = middle;
            else
                low = middle;
        }

        double share = (score - thresholds[low]) / (double)(thresholds[high] - thresholds[low]);
        return drops[low] + Math.Max(0, share) * (drops[high] - drops[low]);
    }

    private double Share(int above, double drop) => drops[above] > drops[above - 1] ? (drop - drops[above - 1]) / (drops[above] - drops[above - 1]) : 1;

    private static int Above(double[] drops, double drop)
    {
        int above = 1;
        while (above < drops.Length - 1 && drops[above] < drop)
            above++;
        return above;
    }
}
