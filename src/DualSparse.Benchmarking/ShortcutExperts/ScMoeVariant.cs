using System.Text;
using DualSparse.Models;

namespace DualSparse.Benchmarking.ShortcutExperts;

/// <summary>A pair of layers as it may be wired, of one shape.</summary>
/// <param name="Name">What tables call it.</param>
/// <param name="TopK">Routed experts of a token's routing.</param>
/// <param name="Shared">Whether there is a shared expert.</param>
/// <param name="Position">Whose input the routed experts read (<see cref="LayerConfig.Shortcut"/>).</param>
/// <param name="Dual">Whether tokens are routed twice (DGMoE).</param>
/// <param name="Overlaps">Whether rows travel while something is computed; else all are waited for, and all sums are sent at last.</param>
internal sealed record ScMoeVariant(string Name, int TopK, bool Shared, int Position, bool Dual = false, bool Overlaps = true)
{
    /// <summary>The baseline: nothing is computed while rows travel.</summary>
    public static ScMoeVariant Plain { get; } = new("top-2", 2, Shared: false, 0, Overlaps: false);

    /// <summary>All of them, the baseline first. Active parameters are equal but for ScMoE-2's, which has one expert more.</summary>
    public static IReadOnlyList<ScMoeVariant> All { get; } =
    [
        Plain,
        new("top-2, overlapped", 2, Shared: false, 0),
        new("shared expert", 1, Shared: true, 0),
        new("position 1", 1, Shared: true, 1),
        new("position 2", 1, Shared: true, 2),
        new("position 3", 1, Shared: true, 3),
        new("ScMoE-2", 2, Shared: true, 2),
        new("DGMoE", 1, Shared: false, 2, Dual: true),
    ];

    /// <summary>The model of two layers, with every tensor that any variant has where it is asked for.</summary>
    /// <param name="hidden">D; the dense MLP and each expert have twice as many neurons.</param>
    /// <param name="tokens">The longest text.</param>
    /// <param name="experts">Routed experts.</param>
    public string Json(int hidden, int tokens, int experts) => $$"""
        {"model_type":"scmoe","vocab_size":64,"hidden_size":{{hidden}},"intermediate_size":{{2 * hidden}},"moe_intermediate_size":{{2 * hidden}},
        "num_hidden_layers":2,"num_attention_heads":16,"num_key_value_heads":16,"num_experts":{{experts}},"num_experts_per_tok":{{TopK}},
        "shared_expert":{{(Shared ? "true" : "false")}},"shortcut_position":{{Position}},"routing":"{{(Dual ? "dual" : "single")}}","max_position_embeddings":{{tokens}}}
        """;

    /// <summary>The same as the engine reads it.</summary>
    public ModelConfig Config(int hidden, int tokens, int experts) => ModelConfig.Parse(Encoding.UTF8.GetBytes(Json(hidden, tokens, experts)), Name, null, "");
}
