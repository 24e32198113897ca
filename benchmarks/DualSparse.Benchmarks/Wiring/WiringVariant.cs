using System.Text.Json.Nodes;

namespace DualSparse.Benchmarks.Wiring;

/// <summary>One way to wire a pair of blocks with experts. Those of one group compute as many experts a token, shared ones included, and are compared.</summary>
/// <param name="Name">Its name in tables.</param>
/// <param name="Experts">Experts that a token takes in one routing.</param>
/// <param name="Position">Which earlier representation the routed experts read; 0: the block's own.</param>
/// <param name="Shared">Whether there is a shared expert.</param>
/// <param name="Combine">How shared and routed experts are weighed.</param>
/// <param name="Dual">Whether two representations are routed (DGMoE).</param>
internal sealed record WiringVariant(string Name, int Experts, int Position, bool Shared, string Combine, bool Dual = false)
{
    /// <summary>The variants; the first of each number of active experts is what the others of it are held against.</summary>
    public static IReadOnlyList<WiringVariant> All { get; } =
    [
        new("top-2", 2, 0, false, "add"),
        new("shared expert", 1, 0, true, "cg1"),
        new("position 1", 1, 1, true, "cg1"),
        new("position 2", 1, 2, true, "cg1"),
        new("position 3", 1, 3, true, "cg1"),
        new("position 2, added", 1, 2, true, "add"),
        new("DGMoE", 1, 2, false, "add", Dual: true),
        new("top-3", 3, 0, false, "add"),
        new("ScMoE-2", 2, 2, true, "cg1"),
    ];

    /// <summary>Experts that a token computes, shared ones included.</summary>
    public int Active => Experts * (Dual ? 2 : 1) + (Shared ? 1 : 0);

    /// <summary>What it is held against.</summary>
    public WiringVariant Rival => All.First(variant => variant.Active == Active);

    /// <summary>Its folder's name.</summary>
    public string Folder => Name.ToLowerInvariant().Replace(", ", "-", StringComparison.Ordinal).Replace(' ', '-');

    /// <summary>Its config.json.</summary>
    public string Config() => new JsonObject
    {
        ["model_type"] = "scmoe",
        ["vocab_size"] = 4096,
        ["hidden_size"] = 128,
        ["intermediate_size"] = 256,
        ["moe_intermediate_size"] = 128,
        ["shared_expert_intermediate_size"] = 128,
        ["num_hidden_layers"] = 4,
        ["num_attention_heads"] = 4,
        ["num_key_value_heads"] = 4,
        ["num_experts"] = 8,
        ["num_experts_per_tok"] = Experts,
        ["shortcut_position"] = Position,
        ["shared_expert"] = Shared,
        ["combine"] = Combine,
        ["routing"] = Dual ? "dual" : "single",
        ["rms_norm_eps"] = 1e-5,
        ["rope_theta"] = 10000.0,
        ["max_position_embeddings"] = 512,
        ["router_aux_loss_coef"] = 0.01,
        ["tie_word_embeddings"] = true,
        ["eos_token_id"] = 0,
    }.ToString();
}
