using System.Text;
using DualSparse.Models;
using DualSparse.Training;

namespace DualSparse.Tests.Training;

/// <summary>Whole models' gradients beside central differences of the loss in double precision: families and settings that no oracle has.</summary>
public class CentralDifferenceTests
{
    private const string Common = """
        ,"rms_norm_eps":1e-5,"max_position_embeddings":32,"vocab_size":23,"hidden_size":16,"num_attention_heads":4}
        """;

    // Name and configuration, the factors of the balance loss and of the z-loss.
    public static TheoryData<string, string, float, float> Models => new()
    {
        {
            "grouped queries, heads normalised by themselves, two experts renormalised, a dense layer",
            """{"model_type":"qwen3_moe","num_hidden_layers":3,"mlp_only_layers":[1],"num_key_value_heads":2,"head_dim":6,"intermediate_size":10,"moe_intermediate_size":7,"num_experts":5,"num_experts_per_tok":2,"norm_topk_prob":true""",
            0.05f, 0
        },
        {
            "two streams, a shared expert behind a gate, a dense layer",
            """{"model_type":"qwen2_moe","wiring":"farskip","num_hidden_layers":3,"mlp_only_layers":[1],"num_key_value_heads":4,"intermediate_size":9,"moe_intermediate_size":5,"shared_expert_intermediate_size":8,"num_experts":4,"num_experts_per_tok":2""",
            0.05f, 0.01f
        },
        {
            "biases of all projections",
            """{"model_type":"qwen3_moe","num_hidden_layers":1,"num_key_value_heads":1,"head_dim":4,"moe_intermediate_size":7,"num_experts":3,"num_experts_per_tok":2,"attention_bias":true""",
            0.05f, 0
        },
        {
            "all heads normalised together, three experts as they are, nothing clipped, z-loss",
            """{"model_type":"olmoe","num_hidden_layers":2,"num_key_value_heads":2,"intermediate_size":7,"num_experts":6,"num_experts_per_tok":3,"clip_qkv":null""",
            0.02f, 0.03f
        },
        {
            "one expert by its probability, a shared expert, a tied head, losses of each layer",
            """{"model_type":"scmoe","num_hidden_layers":4,"num_key_value_heads":2,"head_dim":4,"intermediate_size":9,"moe_intermediate_size":5,"num_experts":4,"num_experts_per_tok":1,"shared_expert":true,"shared_expert_intermediate_size":6""",
            0.05f, 0.01f
        },
        {
            "experts that read the attention of their own layer, three a token, a sigmoid on the shared one",
            """{"model_type":"scmoe","num_hidden_layers":4,"num_key_value_heads":2,"head_dim":4,"intermediate_size":9,"moe_intermediate_size":5,"num_experts":4,"shortcut_position":1,"combine":"cg1","shared_expert":true,"shared_expert_intermediate_size":6,"num_experts_per_tok":3""",
            0.05f, 0
        },
        {
            "experts that read the MLP before, a softmax over shared and routed",
            """{"model_type":"scmoe","num_hidden_layers":4,"num_key_value_heads":2,"head_dim":4,"intermediate_size":9,"moe_intermediate_size":5,"num_experts":4,"shortcut_position":2,"combine":"cg2","shared_expert":true,"shared_expert_intermediate_size":6,"num_experts_per_tok":2""",
            0.05f, 0.01f
        },
        {
            "experts that read the attention of the layer before, none shared",
            """{"model_type":"scmoe","num_hidden_layers":4,"num_key_value_heads":2,"head_dim":4,"intermediate_size":9,"moe_intermediate_size":5,"num_experts":4,"shortcut_position":3,"num_experts_per_tok":1""",
            0.05f, 0
        },
        {
            "tokens routed twice, beside a shared expert, a softmax over both",
            """{"model_type":"scmoe","num_hidden_layers":4,"num_key_value_heads":2,"head_dim":4,"intermediate_size":9,"moe_intermediate_size":5,"num_experts":4,"shortcut_position":3,"routing":"dual","combine":"cg2","shared_expert":true,"shared_expert_intermediate_size":6,"num_experts_per_tok":1""",
            0.05f, 0.02f
        },
        {
            "tokens routed twice by the same rows",
            """{"model_type":"scmoe","num_hidden_layers":4,"num_key_value_heads":2,"head_dim":4,"intermediate_size":9,"moe_intermediate_size":5,"num_experts":4,"routing":"dual","num_experts_per_tok":1""",
            0.05f, 0
        },
        {
            "a shared expert behind a gate",
            """{"model_type":"qwen2_moe","num_hidden_layers":1,"num_key_value_heads":4,"moe_intermediate_size":5,"shared_expert_intermediate_size":8,"num_experts":4,"num_experts_per_tok":2""",
            0.05f, 0
        },
    };

    [Theory]
    [MemberData(nameof(Models))]
    public void Gradients_are_the_losss_central_differences(string what, string json, float balance, float routerZ)
    {
        Assert.NotEmpty(what);
        var config = ModelConfig.Parse(Encoding.UTF8.GetBytes(json + Common), "config.json", null, "");
        CentralDifferences.Check(config, Batch(config), new LossCoefficients(balance, routerZ));
    }

    // Three windows, some of whose places predict nothing.
    private static WindowBatch Batch(ModelConfig config)
    {
        const int windows = 3, length = 9;
        var random = new Random(7);
        return new WindowBatch(
            windows, length,
            [.. Enumerable.Range(0, windows * length).Select(_ => random.Next(config.VocabSize))],
            [.. Enumerable.Range(0, windows * length).Select(i => i % length == length - 1 ? -1 : random.Next(config.VocabSize))]);
    }
}
