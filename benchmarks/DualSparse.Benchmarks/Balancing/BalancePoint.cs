using System.Text.Json.Nodes;

namespace DualSparse.Benchmarks.Balancing;

/// <summary>A way to balance ranks, with what it cost and saved.</summary>
/// <param name="Ranks">N.</param>
/// <param name="Placement">Of the experts.</param>
/// <param name="Balance">The mode.</param>
/// <param name="Rule">Its rule.</param>
/// <param name="Rate">The share that is asked to be dropped; 0: nothing is.</param>
/// <param name="Figures">What eval printed as JSON.</param>
internal sealed record BalancePoint(int Ranks, string Placement, string Balance, string Rule, double Rate, JsonNode Figures)
{
    /// <summary>The highest predicted load over that without balance, summed over layers.</summary>
    public double Time => Of("balanced") / Of("highest");

    /// <summary>(max − mean) / max: what perfect balance would save.</summary>
    public double Bound => Of("bound");

    /// <summary>The share of pairs in the lower precision.</summary>
    public double Switched => Of("switchedShare");

    /// <summary>The share of all rows' work that isn't computed.</summary>
    public double Dropped => Text["dropRate"]!.GetValue<double>();

    /// <summary>KL to the dense run, in nats a token, and its 95 % interval.</summary>
    public (double Value, double Low, double High) Kl => Interval("kl");

    /// <summary>ΔNLL in nats a token, and its 95 % interval.</summary>
    public (double Value, double Low, double High) DeltaNll => Interval("deltaNll");

    // Both texts together come first.
    private JsonNode Text => Figures["texts"]!.AsObject().First().Value!;

    private double Of(string name) => Figures["balance"]![name]!.GetValue<double>();

    private (double, double, double) Interval(string name) =>
        (Text[name]!["value"]!.GetValue<double>(), Text[name]!["low"]!.GetValue<double>(), Text[name]!["high"]!.GetValue<double>());
}
