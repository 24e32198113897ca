namespace DualSparse.Models;

/// <summary>
/// The mixture of experts, the same in every layer that has one. Scores are softmax(router·x) over all experts in f32; the
/// <see cref="TopK"/> best (of the best groups, where there are groups) are taken, renormalised if asked, and scaled.
/// </summary>
internal sealed record MoeConfig
{
    /// <summary>Routed experts.</summary>
    public required int Experts { get; init; }

    /// <summary>Experts a token.</summary>
    public required int TopK { get; init; }

    /// <summary>Neurons of a routed expert.</summary>
    public required int Intermediate { get; init; }

    /// <summary>Whether the chosen scores are divided by their sum.</summary>
    public required bool NormTopK { get; init; }

    /// <summary>Groups of consecutive experts, by whose best score groups are chosen; 1: no groups.</summary>
    public int Groups { get; init; } = 1;

    /// <summary>Groups a token may choose experts from.</summary>
    public int TopKGroups { get; init; } = 1;

    /// <summary>What the routed experts' weights are multiplied with at last.</summary>
    public float RoutedScale { get; init; } = 1;

    /// <summary>Neurons of the expert that every token visits; 0: there is none.</summary>
    public int SharedIntermediate { get; init; }

    /// <summary>Whether the shared expert's output is multiplied by σ(gate·x) (Qwen2-MoE); otherwise it is added as it is.</summary>
    public bool SharedGate { get; init; }
}

/// <summary>What is special about one layer.</summary>
/// <param name="DenseIntermediate">Neurons of the layer's dense MLP, or 0 where it has the mixture of experts instead.</param>
/// <param name="SlidingWindow">A token sees itself and the <c>window − 1</c> tokens before it; null: all before it.</param>
internal readonly record struct LayerConfig(int DenseIntermediate, int? SlidingWindow)
{
    /// <summary>Whether the layer has the mixture of experts.</summary>
    public bool IsMoe => DenseIntermediate == 0;
}
