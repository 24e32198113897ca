namespace DualSparse.Training.Ops;

/// <summary>What a batch's tokens add up to at one MoE layer's router: all that its additional losses are made of.</summary>
/// <param name="experts">E.</param>
internal sealed class RouterTotals(int experts)
{
    /// <summary>Tokens.</summary>
    public long Tokens { get; set; }

    /// <summary>[E] token-expert pairs.</summary>
    public long[] Pairs { get; } = new long[experts];

    /// <summary>[E] Σ of the tokens' probabilities.</summary>
    public double[] Probabilities { get; } = new double[experts];

    /// <summary>Σ of the tokens' (log Σ e^logit)².</summary>
    public double SquaredLogSums { get; set; }
}
