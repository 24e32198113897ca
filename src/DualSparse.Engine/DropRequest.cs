using System.Text.Json.Serialization;
using DualSparse.Engine.Moe.Drop;

namespace DualSparse.Engine;

/// <summary>
/// Which work of the routed experts to drop: the options of the drop. Shared experts are never dropped, and the outputs that are computed
/// keep their weights (arXiv 2508.18376, §4.2).
/// </summary>
public sealed record DropRequest
{
    /// <summary>Nothing is dropped.</summary>
    public static DropRequest None { get; } = new();

    /// <summary>The score that is compared with the thresholds.</summary>
    [JsonInclude]
    internal DropScore Score { get; init; }

    /// <summary>The thresholds of every layer.</summary>
    public DropThresholds Thresholds { get; init; }

    /// <summary>The thresholds of each layer (a dense layer's are ignored); null: <see cref="Thresholds"/> for all.</summary>
    [JsonInclude]
    internal IReadOnlyList<LayerThresholds>? Layers { get; init; }

    /// <summary>Whether a token's best expert always computes at least its major half.</summary>
    public bool Guard { get; init; } = true;

    /// <summary>Whether the mean output of what is dropped is added instead; the model needs a <see cref="Compensation"/>.</summary>
    [JsonInclude]
    internal bool Compensate { get; init; }

    /// <summary>
    /// The share of the routed experts' work to drop, from 0 to below 1. Thresholds come from the checkpoint's dualsparse.json, or without
    /// that file are T ∓ <see cref="Delta"/> on ŝ with one T a layer, and adapt to the text's scores. <see cref="Thresholds"/> are then
    /// ignored. Null: the thresholds are fixed.
    /// </summary>
    public double? Rate { get; init; }

    /// <summary>
    /// The highest expected KL, in nats a token: drops as much as dualsparse.json allows within it. The thresholds are fixed, because from
    /// text to text the loss at given thresholds varies less than the loss at a given rate.
    /// </summary>
    public double? MaxKl { get; init; }

    /// <summary>The method of dualsparse.json whose thresholds <see cref="Rate"/> or <see cref="MaxKl"/> use; null: the best.</summary>
    public string? Method { get; init; }

    /// <summary>δ of <see cref="Rate"/>; 0 is 1T-Drop.</summary>
    public float Delta { get; init; } = 0.01f;

    /// <summary>Another request for generated tokens; null: the same. Its own <see cref="Generated"/> is ignored.</summary>
    public DropRequest? Generated { get; init; }

    /// <summary>Whether nothing is ever dropped.</summary>
    public bool IsNone => MaxKl is null && (Rate is 0 || (Rate is null && !HasThresholds)) && (Generated?.IsNone ?? true);

    private bool HasThresholds => Thresholds != DropThresholds.None || (Layers?.Any(l => l.Drops || l.Thresholds != DropThresholds.None) ?? false);

    /// <summary>Checks the request against a model.</summary>
    /// <param name="layers">The number of the model's layers.</param>
    /// <param name="experts">The number of its routed experts.</param>
    /// <exception cref="ArgumentException">
    /// A threshold below 0, T_major above T_minor, a rate outside 0 to 1, or thresholds for another number of layers or experts.
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
            throw new ArgumentException($"drop thresholds are given for {Layers.Count} layers, expected the model's {layers}");
        Check(Thresholds);
        if (Thresholds.Minor > 1 && Score != DropScore.Weight)
            throw new ArgumentException($"the drop threshold is {Thresholds.Minor}, expected at most 1, the highest score");
        foreach (var layer in Layers ?? [])
        {
            Check(layer.Thresholds);
            foreach (var thresholds in layer.Experts ?? [])
                Check(thresholds);
            if ((layer.Experts?.Count ?? experts) != experts || (layer.Norms?.Count ?? experts) != experts)
                throw new ArgumentException($"a layer's drop thresholds are given for {layer.Experts?.Count ?? layer.Norms!.Count} experts, expected the model's {experts}");
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
