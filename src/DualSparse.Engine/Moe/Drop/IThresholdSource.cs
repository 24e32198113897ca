namespace DualSparse.Engine.Moe.Drop;

/// <summary>Where the thresholds that one text meets come from. Tokens come layer by layer, in the order of the text.</summary>
internal interface IThresholdSource
{
    /// <summary>The thresholds that a layer's next token meets.</summary>
    /// <param name="rule">The layer's rule for it.</param>
    /// <param name="experts">[k] the token's experts.</param>
    /// <param name="scores">[k] its scores.</param>
    /// <returns>[experts]; valid until the layer's next token.</returns>
    ReadOnlySpan<DropThresholds> Next(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores);

    /// <summary>Shows the same token's scores, by the rule that moves.</summary>
    void Observe(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores);
}

/// <summary>Thresholds that stay as the rule has them.</summary>
internal sealed class FixedThresholds : IThresholdSource
{
    /// <summary>The one there is: it holds nothing.</summary>
    public static FixedThresholds Instance { get; } = new();

    /// <inheritdoc/>
    public ReadOnlySpan<DropThresholds> Next(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores) => rule.Thresholds;

    /// <inheritdoc/>
    public void Observe(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores)
    {
        // What stays needs no looking at.
    }
}
