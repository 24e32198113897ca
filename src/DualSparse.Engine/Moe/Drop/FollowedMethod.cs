namespace DualSparse.Engine.Moe.Drop;

/// <summary>A method made ready for <see cref="RateFollower"/>s; one for all texts of a model. Immutable.</summary>
internal sealed class FollowedMethod
{
    /// <summary>Bins of quantiles from 0 to 1: each holds a thousandth of the work, and between their ends straight lines are drawn.</summary>
    public const int Bins = 1024;

    /// <summary>Prepares a method.</summary>
    /// <param name="method">Its points rise.</param>
    /// <param name="routed">By layer, whether it has routed experts.</param>
    public FollowedMethod(DropMethod method, IReadOnlyList<bool> routed)
    {
        (Method, Routed) = (method, routed);
        Layers = [.. routed.Select((has, l) => has && new RateCurve(method, l) is { Drops: true } curve ? curve : null)];
        Known = Layers.All(l => l?.Known ?? true);
        SharesTo = new double[]?[routed.Count];
        double[] sum = new double[Bins];
        for (int l = 0; Known && l < routed.Count; l++)
        {
            for (int b = 0; Layers[l] is { } curve && b < Bins; b++)
                sum[b] += curve.RateAt((b + 1.0) / Bins) - curve.RateAt((double)b / Bins);
            SharesTo[l] = [.. sum];
        }
    }

    /// <summary>The method.</summary>
    public DropMethod Method { get; }

    /// <summary>By layer, whether it has routed experts.</summary>
    public IReadOnlyList<bool> Routed { get; }

    /// <summary>Whether it is known what the thresholds leave out of ordinary text.</summary>
    public bool Known { get; }

    /// <summary>By layer; null where there is nothing to drop.</summary>
    public IReadOnlyList<RateCurve?> Layers { get; }

    /// <summary>By layer, the share of ordinary text's halves whose quantile is in each bin, summed over the layer and those below; null where that isn't known.</summary>
    public double[]?[] SharesTo { get; }

    /// <summary>By layer, the rate that it has where all layers together have one on ordinary text (0 where nothing is dropped); where that isn't known, each layer has the same.</summary>
    public double[] LayerRates(double rate)
    {
        if (!Known)
            return [.. Layers.Select(_ => rate)];
        double drop = Quantile(rate);
        return [.. Layers.Select(l => l?.RateAt(drop) ?? 0)];
    }

    // The rate of the method at which all layers together have one.
    private double Quantile(double rate)
    {
        // What leaves nothing out counts in the rate too.
        int routed = Routed.Count(r => r);
        double below = 0;
        for (int b = 0; b < Bins; b++)
        {
            double here = SharesTo[^1]![b] / routed;
            if (below + here >= rate)
                return (b + (here > 0 ? (rate - below) / here : 0)) / Bins;
            below += here;
        }

        return 1;
    }
}
