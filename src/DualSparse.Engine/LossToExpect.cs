namespace DualSparse.Engine;

/// <summary>What a drop costs on text kept apart from the calibration, against the dense run.</summary>
/// <param name="Kl">KL(dense ‖ dropped), nats a token.</param>
/// <param name="DeltaNll">The rise of −log p, nats a token.</param>
/// <param name="Flips">Share of predictions whose best id changes.</param>
public sealed record LossToExpect(Interval Kl, Interval DeltaNll, Interval Flips);

/// <summary>A figure and its 95 % interval.</summary>
/// <param name="Value">On what was measured.</param>
/// <param name="Low">Its lower end.</param>
/// <param name="High">Its upper end.</param>
public sealed record Interval(double Value, double Low, double High)
{
    /// <summary>The interval of a rising function of the figure.</summary>
    public Interval Map(Func<double, double> rising) => new(rising(Value), rising(Low), rising(High));
}
