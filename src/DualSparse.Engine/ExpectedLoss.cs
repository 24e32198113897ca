namespace DualSparse.Engine;

/// <summary>The loss of a drop against the dense run, as measured on held-out text.</summary>
/// <param name="Kl">KL(dense ‖ dropped), nats a token.</param>
/// <param name="DeltaNll">The increase of −log p, nats a token.</param>
/// <param name="Flips">The share of predictions whose most probable id changes.</param>
public sealed record ExpectedLoss(Interval Kl, Interval DeltaNll, Interval Flips);

/// <summary>A value and its 95 % confidence interval.</summary>
/// <param name="Value">The measured value.</param>
/// <param name="Low">The lower end of the interval.</param>
/// <param name="High">The upper end of the interval.</param>
public sealed record Interval(double Value, double Low, double High)
{
    /// <summary>The interval of an increasing function of the value.</summary>
    public Interval Map(Func<double, double> increasing) => new(increasing(Value), increasing(Low), increasing(High));
}
