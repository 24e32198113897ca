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

    /// <summary>How the shared expert's output and the routed experts' are weighed.</summary>
    public CombineGate Combine { get; init; }

    /// <summary>
    /// Whether a token is routed twice, by an earlier representation and by the layer's own input, which takes other experts than the earlier
    /// one did (DGMoE).
    /// </summary>
    public bool Dual { get; init; }

    /// <summary>Experts that compute something for a token.</summary>
    public int ExpertsPerToken => Dual ? 2 * TopK : TopK;

    /// <summary>Whether the balance loss in training is the mean of the layers' own; otherwise one over the tokens of all layers together.</summary>
    public bool BalancesEachLayer { get; init; }
}

/// <summary>How a layer's shared and routed outputs are weighed, each token's by itself. x is the layer's own normalised input.</summary>
internal enum CombineGate
{
    /// <summary>shared + routed.</summary>
    None,

    /// <summary>σ(gate·x)·shared + routed (Qwen2-MoE; ScMoE's CG-1).</summary>
    Shared,

    /// <summary>p₀·shared + p₁·routed, p = softmax(gate·x) (ScMoE's CG-2).</summary>
    Both,
}

/// <summary>What is special about one layer.</summary>
/// <param name="DenseIntermediate">Neurons of the layer's dense MLP, or 0 where it has the mixture of experts instead.</param>
/// <param name="SlidingWindow">A token sees itself and the <c>window − 1</c> tokens before it; null: all before it.</param>
/// <param name="Shortcut">
/// Whose normalised input the routed experts read, counted in half layers back (ScMoE's positions): 0 their own, 1 this layer's attention's, 2 the MLP's
/// of the layer before, 3 its attention's.
/// </param>
internal readonly record struct LayerConfig(int DenseIntermediate, int? SlidingWindow, int Shortcut = 0)
{
    /// <summary>Whether the layer has the mixture of experts.</summary>
    public bool IsMoe => DenseIntermediate == 0;
}
