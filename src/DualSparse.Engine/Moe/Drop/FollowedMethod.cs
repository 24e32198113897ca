namespace DualSparse.Engine.Moe.Drop;

/// <summary>A method prepared for <see cref="RateFollower"/>; all texts of a model share it. Immutable.</summary>
internal sealed class FollowedMethod
{
    /// <summary>Bins of quantiles from 0 to 1: each holds about a thousandth of the work; within a bin rates are interpolated linearly.</summary>
    public const int Bins = 1024;

    /// <summary>Prepares a method.</summary>
    /// <param name="method">The method; its points increase.</param>
    /// <param name="routed">By layer, whether it has routed experts.</param>
    public FollowedMethod(DropMethod method, IReadOnlyList<bool> routed)
    {
        (Method, Routed) = (method, routed);
        Layers = [.. routed.Select((has, l) => has && new RateCurve(method, l) is { Drops: true } curve ? curve : null)];
        Known = Layers.All(l => l?.Known ?? true);
        PriorShares = new double[]?[routed.Count];
        double[] sum = new double[Bins];
        for (int l = 0; Known && l < routed.Count; l++)
        {
            for (int b = 0; Layers[l] is { } curve && b < Bins; b++)
                sum[b] += curve.RateAt((b + 1.0) / Bins) - curve.RateAt((double)b / Bins);
            PriorShares[l] = [.. sum];
        }
    }

    /// <summary>The method.</summary>
    public DropMethod Method { get; }

    /// <summary>By layer, whether it has routed experts.</summary>
    public IReadOnlyList<bool> Routed { get; }

    /// <summary>Whether the method has each layer's rates on held-out text.</summary>
    public bool Known { get; }

    /// <summary>The curve of each layer; null where nothing is dropped.</summary>
    public IReadOnlyList<RateCurve?> Layers { get; }

    /// <summary>
    /// By layer, the share of held-out text's halves whose quantile is in each bin, summed over the layer and those below; null if not
    /// known.
    /// </summary>
    public double[]?[] PriorShares { get; }

    /// <summary>
    /// The rate of each layer when all layers together have <paramref name="rate"/> on held-out text (0 where nothing is dropped); if that
    /// isn't known, each layer's is <paramref name="rate"/>.
    /// </summary>
    public double[] LayerRates(double rate)
    {
        if (!Known)
            return [.. Layers.Select(_ => rate)];
        double drop = Quantile(rate);
        return [.. Layers.Select(l => l?.RateAt(drop) ?? 0)];
    }

    // The rate of the method at which all layers together have the given rate.
    private double Quantile(double rate)
    {
        // Layers that drop nothing count in the rate too.
        int routed = Routed.Count(r => r);
        double below = 0;
        for (int b = 0; b < Bins; b++)
        {
            double here = PriorShares[^1]![b] / routed;
            if (below + here >= rate)
                return (b + (here > 0 ? (rate - below) / here : 0)) / Bins;
            below += here;
        }

        return 1;
    }
}
