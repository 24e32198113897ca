using DualSparse.Engine.Moe.Drop;

namespace DualSparse.Sparsify;

/// <summary>
/// A layer's loss by its drop rate: KL(r) = a·(r/(1−r))^b, a straight line between the logarithms of loss and odds. On the model that ships
/// it meets rates between .1 and .55 to a few percent, where a power of r alone bends away.
/// </summary>
/// <param name="Factor">a.</param>
/// <param name="Exponent">b, above 1: the next bit of work is always dearer than the last.</param>
internal readonly record struct LossLaw(double Factor, double Exponent)
{
    // Straight lines would be shared out all or nothing.
    private const double LeastExponent = 1.2;

    // Below what f32 logits resolve.
    private const double LeastLoss = 1e-9;

    // Below a double's precision.
    private const int Halvings = 60;

    // A layer with nothing left would be another model.
    private const double MostRate = 0.9;

    /// <summary>Least squares between logarithms.</summary>
    public static LossLaw Through(ReadOnlySpan<double> rates, ReadOnlySpan<double> losses)
    {
        double x = 0, y = 0, xx = 0, xy = 0;
        for (int i = 0; i < rates.Length; i++)
        {
            double u = Math.Log(rates[i] / (1 - rates[i])), v = Math.Log(Math.Max(losses[i], LeastLoss));
            (x, y, xx, xy) = (x + u, y + v, xx + u * u, xy + u * v);
        }

        double exponent = Math.Max(LeastExponent, (rates.Length * xy - x * y) / (rates.Length * xx - x * x));
        return new(Math.Exp((y - exponent * x) / rates.Length), exponent);
    }

    /// <summary>KL(r).</summary>
    public double At(double rate) => Factor * Math.Pow(rate / (1 - rate), Exponent);

    /// <summary>The rates, one a layer and <paramref name="rate"/> in the mean, whose losses have the least sum: their slopes are equal.</summary>
    /// <param name="laws">The layers'.</param>
    /// <param name="rate">Their mean.</param>
    /// <param name="topK">Experts a token, of whose best the guard keeps half: no layer's rate goes beyond 1 − 1/2k.</param>
    public static double[] Share(IReadOnlyList<LossLaw> laws, double rate, int topK)
    {
        double most = Math.Min(MostRate, 1 - 0.5 / topK);
        double slope = Bisection.Find(-80.0, 80.0, Halvings, s => laws.Average(l => l.RateOf(s, most)) < rate).High;
        return [.. laws.Select(l => l.RateOf(slope, most))];
    }

    // The logarithm of KL'(r) = a·b·r^(b−1)/(1−r)^(b+1).
    private double LogSlope(double rate) => Math.Log(Factor * Exponent) + (Exponent - 1) * Math.Log(rate) - (Exponent + 1) * Math.Log(1 - rate);

    private double RateOf(double logSlope, double most)
    {
        var law = this;
        return Bisection.Find(0.0, most, Halvings, r => law.LogSlope(r) < logSlope).High;
    }
}
