using DualSparse.Engine.Moe.Drop;

namespace DualSparse.Sparsify;

/// <summary>
/// A layer's loss by its drop rate: KL(r) = a·(r/(1−r))^b, which is linear in the logarithms of loss and odds. On the model that ships it
/// is accurate to a few percent for rates from .1 to .55; a power of r alone isn't.
/// </summary>
/// <param name="Factor">a.</param>
/// <param name="Exponent">b, above 1: each further share of dropped work costs more than the previous one.</param>
internal readonly record struct LossLaw(double Factor, double Exponent)
{
    // With an exponent of 1 a layer would drop all or nothing.
    private const double LeastExponent = 1.2;

    // Below the resolution of f32 logits.
    private const double LeastLoss = 1e-9;

    // Finer than a double's precision.
    private const int Halvings = 60;

    // A layer that drops everything would be another model.
    private const double MostRate = 0.9;

    /// <summary>Fits the law by least squares of the logarithms.</summary>
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

    /// <summary>The rates of the layers, with mean <paramref name="rate"/>, that minimise the sum of the losses: their slopes are equal.</summary>
    /// <param name="laws">The layers' laws.</param>
    /// <param name="rate">Their mean.</param>
    /// <param name="topK">Experts a token; the guard keeps half of the best, so no layer's rate exceeds 1 − 1/2k.</param>
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
