namespace DualSparse.Training.Optimisation;

/// <summary>The constants of <see cref="AdamW"/>; the defaults are what language models are mostly trained with.</summary>
internal sealed record AdamWOptions
{
    /// <summary>β₁: what a step keeps of the mean gradient.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>β₂: what a step keeps of the mean squared gradient.</summary>
    public double Beta2 { get; init; } = 0.95;

    /// <summary>ε, added to the root of the mean square.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>λ: a step multiplies what decays by 1 − lr · λ.</summary>
    public double WeightDecay { get; init; } = 0.1;
}
