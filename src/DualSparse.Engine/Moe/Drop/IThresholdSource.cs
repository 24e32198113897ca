namespace DualSparse.Engine.Moe.Drop;

/// <summary>The source of one text's thresholds. Each layer's tokens come in the order of the text.</summary>
internal interface IThresholdSource
{
    /// <summary>The thresholds for a layer's next token.</summary>
    /// <param name="rule">The layer's rule for it.</param>
    /// <param name="experts">[k] the token's experts.</param>
    /// <param name="scores">[k] its scores.</param>
    /// <returns>[experts]; valid until the layer's next token.</returns>
    ReadOnlySpan<DropThresholds> Next(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores);

    /// <summary>Observes the same token's scores, by the adaptive rule.</summary>
    void Observe(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores);
}

/// <summary>The fixed thresholds of a rule.</summary>
internal sealed class FixedThresholds : IThresholdSource
{
    /// <summary>The only instance: it has no state.</summary>
    public static FixedThresholds Instance { get; } = new();

    /// <inheritdoc/>
    public ReadOnlySpan<DropThresholds> Next(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores) => rule.Thresholds;

    /// <inheritdoc/>
    public void Observe(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores)
    {
        // Fixed thresholds don't depend on scores.
    }
}
