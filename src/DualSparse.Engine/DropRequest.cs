using DualSparse.Engine.Moe.Drop;

namespace DualSparse.Engine;

/// <summary>
/// What somebody asks to be left out: the one option record of the drop. A model makes a plan of it. Shared experts are never
/// dropped, and kept outputs keep their weights (arXiv 2508.18376, §4.2).
/// </summary>
public sealed record DropRequest
{
    /// <summary>Nothing is dropped.</summary>
    public static DropRequest None { get; } = new();

    /// <summary>What is compared with the thresholds.</summary>
    internal DropScore Score { get; init; }

    /// <summary>The thresholds of every layer.</summary>
    public DropThresholds Thresholds { get; init; }

    /// <summary>Each layer's own, in the order of layers (a dense layer's are not looked at); null: <see cref="Thresholds"/> everywhere.</summary>
    internal IReadOnlyList<LayerThresholds>? Layers { get; init; }

    /// <summary>Whether a token's best expert computes its major half however low the score.</summary>
    public bool Guard { get; init; } = true;

    /// <summary>Whether what is dropped leaves its mean behind; the model needs its <see cref="Compensation"/>.</summary>
    internal bool Compensate { get; init; }

    /// <summary>
    /// The share of the routed experts' work to leave out. The thresholds of the checkpoint's dualsparse.json for it, or without that file
    /// thresholds T ∓ <see cref="Delta"/> on ŝ, one T a layer, adapt to the text's own scores; <see cref="Thresholds"/>
    /// are not looked at then. Null: thresholds as given.
    /// </summary>
    public double? Rate { get; init; }

    /// <summary>
    /// Aims at the highest drop whose KL, as dualsparse.json expects it, stays within this: nats a token. Its thresholds stay where they are:
    /// from text to text the loss that goes with thresholds changes less than the one that goes with a rate.
    /// </summary>
    public double? MaxKl { get; init; }

    /// <summary>Whose thresholds of dualsparse.json are taken for <see cref="Rate"/> or <see cref="MaxKl"/>; null: the best method's.</summary>
    public string? Method { get; init; }

    /// <summary>δ of <see cref="Rate"/>; 0 is 1T-Drop.</summary>
    public float Delta { get; init; } = 0.01f;

    /// <summary>Another request for generated tokens; null: the same. Its own is not looked at.</summary>
    public DropRequest? Generated { get; init; }

    /// <summary>Whether nothing is dropped, ever.</summary>
    public bool IsNone => MaxKl is null && (Rate is 0 || (Rate is null && !HasThresholds)) && (Generated?.IsNone ?? true);

    private bool HasThresholds => Thresholds != DropThresholds.None || (Layers?.Any(l => l.Drops || l.Thresholds != DropThresholds.None) ?? false);

    /// <summary>Refuses what makes no sense for a model.</summary>
    /// <param name="layers">The model's layers.</param>
    /// <param name="experts">Its routed experts.</param>
    /// <exception cref="ArgumentException">
    /// A threshold below 0, T_major above T_minor, a rate outside 0 to 1, or numbers for another number of layers or experts.
    /// </exception>
    internal void Check(int layers, int experts)
    {
        if (Rate is not (null or (>= 0 and < 1)))
            throw new ArgumentException($"the drop rate is {Rate}, expected 0 to below 1");
        if (MaxKl is not (null or > 0))
            throw new ArgumentException($"the highest KL is {MaxKl}, expected more than 0");
        if (!(Delta >= 0))
            throw new ArgumentException($"the drop's δ is {Delta}, expected 0 or more");
        if (Layers is not null && Layers.Count != layers)
            throw new ArgumentException($"drop thresholds are given for {Layers.Count} layers, expected {layers}, as the model has");
        Check(Thresholds);
        if (Thresholds.Minor > 1 && Score != DropScore.Weight)
            throw new ArgumentException($"the drop threshold is {Thresholds.Minor}, expected at most 1, as the scores are");
        foreach (var layer in Layers ?? [])
        {
            Check(layer.Thresholds);
            foreach (var thresholds in layer.Experts ?? [])
                Check(thresholds);
            if ((layer.Experts?.Count ?? experts) != experts || (layer.Norms?.Count ?? experts) != experts)
                throw new ArgumentException($"a layer's drop thresholds are given for {layer.Experts?.Count ?? layer.Norms!.Count} experts, expected {experts}, as the model has");
        }

        if (Score == DropScore.Contribution && Rate is null && !IsNone && (Layers is null || Layers.Any(l => l.Norms is null && l.Drops)))
            throw new ArgumentException("a drop by contribution needs each layer's output norms");
        Generated?.Check(layers, experts);
    }

    private static void Check(DropThresholds thresholds)
    {
        if (!(thresholds.Major >= 0 && thresholds.Major <= thresholds.Minor))
            throw new ArgumentException($"the drop thresholds are {thresholds.Major} (major) and {thresholds.Minor} (minor), expected 0 ≤ major ≤ minor");
    }
}
