using DualSparse.Models;

namespace DualSparse.Engine.Moe.Drop;

/// <summary>One method of choosing what is dropped.</summary>
/// <param name="Name">Its name on the command line.</param>
/// <param name="Score">The score that is compared with the thresholds.</param>
/// <param name="Compensate">Whether the mean output of what is dropped is added instead.</param>
/// <param name="Scales">By layer, [experts] the divisors of the layer's thresholds; null: no divisors.</param>
/// <param name="Points">The calibrated points, by increasing drop rate.</param>
internal sealed record DropMethod(string Name, DropScore Score, bool Compensate, IReadOnlyList<IReadOnlyList<float>?>? Scales, IReadOnlyList<DropPoint> Points)
{
    /// <summary>Thresholds T ∓ δ on ŝ, the same for all layers: the method without a calibration.</summary>
    internal static DropMethod OfScores(ModelConfig config, float delta)
    {
        // A token's scores have the mean 1/k: hardly a pair is above four times that.
        float most = Math.Min(1, 4f / (config.Moe?.TopK ?? 1));
        DropPoint At(double rate, float threshold) =>
            new(rate, rate, [.. Enumerable.Repeat(new DropThresholds(threshold - delta, threshold + delta), config.Layers)], null);
        return new DropMethod("scores", DropScore.Gate, Compensate: false, null, delta > 0 && delta < most ? [At(delta / most, delta), At(1, most)] : [At(1, Math.Max(most, delta))]);
    }

    /// <summary>What is wrong with a method that was read, or null. Whether it is of the model's size is checked with the rule it gives.</summary>
    internal static string? Fault(DropMethod? method)
    {
        if (method is not { Name: not null, Points: [{ Thresholds.Count: var layers }, ..] points })
            return "a method has no name, or no points with thresholds";
        if (!Enum.IsDefined(method.Score) || method.Score == DropScore.Contribution)
            return $"method '{method.Name}': its score is {method.Score}, expected one that needs no output norms";
        double before = 0;
        var below = Enumerable.Repeat(DropThresholds.None, layers);
        foreach (var point in points)
        {
            if (point is not { Thresholds: { } thresholds } || thresholds.Count != layers || !thresholds.All(t => t.Major >= 0 && t.Major <= t.Minor && float.IsFinite(t.Minor)))
                return $"method '{method.Name}': a point's thresholds are missing, or not 0 ≤ major ≤ minor for each of {layers} layers";
            if (point.Rates is { } rates && (rates.Count != layers || !rates.All(r => r is >= 0 and <= 1)))
                return $"method '{method.Name}': a point's rates are not from 0 to 1 for each of {layers} layers";
            if (!(point.Drop > before && point.Drop <= 1))
                return $"method '{method.Name}': a point's drop is {point.Drop}, expected more than {before}, the one before, and at most 1";
            if (thresholds.Zip(below).Any(pair => pair.First.Major < pair.Second.Major || pair.First.Minor < pair.Second.Minor))
                return $"method '{method.Name}': the thresholds at {point.Drop} are below those at {before}";
            if (point.Loss is { } loss && !(loss is { Kl.Value: >= 0, DeltaNll: not null, Flips: not null }))
                return $"method '{method.Name}': the loss to expect at {point.Drop} has no KL of 0 or more, or no ΔNLL or flips";
            (before, below) = (point.Drop, thresholds);
        }

        return method.Scales is { } scales && (scales.Count != layers || scales.Any(layer => layer?.Any(s => !(s > 0 && float.IsFinite(s))) ?? false))
            ? $"method '{method.Name}': its scales are not numbers above 0 for each of {layers} layers"
            : null;
    }

    /// <summary>A request with the thresholds for a rate, interpolated between points.</summary>
    /// <exception cref="ArgumentException">The rate exceeds the last point's.</exception>
    public DropRequest Request(double rate)
    {
        CheckRate(rate);
        if (rate == 0)
            return DropRequest.None;
        var layers = Enumerable.Range(0, Points[0].Thresholds.Count).Select(l =>
        {
            var at = new RateCurve(this, l).At(rate);
            return new LayerThresholds(at, Scales?[l] is { } scales ? [.. scales.Select(s => new DropThresholds(at.Major / s, at.Minor / s))] : null);
        });
        return new DropRequest { Score = Score, Compensate = Compensate, Layers = [.. layers] };
    }

    /// <summary>
    /// The expected loss at a rate's thresholds, interpolated between points (KL by its logarithm); null if the points have no loss.
    /// </summary>
    public ExpectedLoss? LossAt(double rate)
    {
        int above = Points.TakeWhile(p => p.Drop < rate).Count();
        if (Points.Any(p => p.Loss is null))
            return null;
        if (above == Points.Count)
            return Points[^1].Loss;
        var (low, high) = (above == 0 ? null : Points[above - 1], Points[above]);
        double share = (rate - (low?.Drop ?? 0)) / (high.Drop - (low?.Drop ?? 0));
        return new ExpectedLoss(
            Between(low?.Loss!.Kl, high.Loss!.Kl, (a, b) => a > 0 && b > 0 ? a * Math.Pow(b / a, share) : share * b),
            Between(low?.Loss!.DeltaNll, high.Loss.DeltaNll, Straight), Between(low?.Loss!.Flips, high.Loss.Flips, Straight));

        double Straight(double a, double b) => a + share * (b - a);
        static Interval Between(Interval? low, Interval high, Func<double, double, double> part) =>
            new(part(low?.Value ?? 0, high.Value), part(low?.Low ?? 0, high.Low), part(low?.High ?? 0, high.High));
    }

    /// <summary>Checks that a rate doesn't exceed the last point's.</summary>
    internal void CheckRate(double rate)
    {
        if (!(rate >= 0 && rate <= Points[^1].Drop + 1e-9))
            throw new ArgumentException($"the drop rate is {rate}, expected 0 to {Points[^1].Drop}, the highest of {DropProfile.FileName}");
    }

    /// <summary>The highest rate whose expected KL is within a bound, interpolated between points by the logarithm.</summary>
    /// <exception cref="ArgumentException">The first point's KL exceeds it, or the points have no loss.</exception>
    public double RateWithin(double kl)
    {
        double rate = 0, before = 0;
        foreach (var point in Points)
        {
            if (point.Loss is not { } loss)
                throw new ArgumentException($"{DropProfile.FileName} has no loss of method '{Name}'");
            if (loss.Kl.Value > kl)
            {
                if (rate == 0)
                    throw new ArgumentException($"no drop with a KL within {kl} is known: that of {point.Drop:0 %} is {loss.Kl.Value:0.#####}");
                // A loss written as 0 has no logarithm.
                double share = before > 0 ? Math.Log(kl / before) / Math.Log(loss.Kl.Value / before) : kl / loss.Kl.Value;
                return rate + (point.Drop - rate) * share;
            }

            (rate, before) = (point.Drop, loss.Kl.Value);
        }

        return rate;
    }
}

/// <summary>The thresholds of one drop rate.</summary>
/// <param name="Drop">The target rate.</param>
/// <param name="Achieved">The rate on held-out text.</param>
/// <param name="Thresholds">By layer, before division by an expert's scale; a dense layer's are zeros.</param>
/// <param name="Loss">The expected loss; null if it wasn't measured.</param>
/// <param name="Rates">By layer, its rate on held-out text; null if it wasn't measured.</param>
internal sealed record DropPoint(double Drop, double Achieved, IReadOnlyList<DropThresholds> Thresholds, ExpectedLoss? Loss, IReadOnlyList<double>? Rates = null);
