namespace DualSparse.Engine.Moe;

/// <summary>What a model leaves out: thresholds for all layers or for each, and the guard. Shared experts are never dropped, and kept
/// outputs keep their weights (arXiv 2508.18376, §4.2).</summary>
public sealed record DropRule
{
    /// <summary>Nothing is dropped.</summary>
    public static DropRule None { get; } = new();

    /// <summary>The thresholds of every layer that <see cref="Layers"/> doesn't give its own.</summary>
    public DropThresholds Thresholds { get; init; }

    /// <summary>Each layer's own thresholds, in the order of layers (a dense layer's are not looked at); null: <see cref="Thresholds"/> everywhere.</summary>
    public IReadOnlyList<DropThresholds>? Layers { get; init; }

    /// <summary>Whether a token's best expert computes its major half however low the score.</summary>
    public bool Guard { get; init; } = true;

    /// <summary>The thresholds of a layer.</summary>
    public DropThresholds Of(int layer) => Layers is null ? Thresholds : Layers[layer];

    /// <summary>Refuses what makes no sense for a model.</summary>
    /// <param name="layers">The model's layers.</param>
    /// <exception cref="ArgumentException">A threshold outside 0 to 1, T_major above T_minor, or thresholds for another number of layers.</exception>
    public void Check(int layers)
    {
        if (Layers is not null && Layers.Count != layers)
            throw new ArgumentException($"drop thresholds are given for {Layers.Count} layers, expected {layers}, as the model has");
        for (int l = 0; l < layers; l++)
        {
            var (major, minor) = Of(l);
            if (!(major >= 0 && major <= minor && minor <= 1))
                throw new ArgumentException($"the drop thresholds are {major} (major) and {minor} (minor), expected 0 ≤ major ≤ minor ≤ 1");
        }
    }
}
