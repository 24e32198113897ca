using System.Text.Json;
using System.Text.Json.Nodes;
using DualSparse.Models;

namespace DualSparse.Tests.Models.Configuration;

public class ConfigVariantTests
{
    [Theory]
    [InlineData("mixtral")]
    [InlineData("olmoe")]
    [InlineData("qwen2_moe")]
    [InlineData("qwen3_moe")]
    [InlineData("deepseek_v2")]
    public void Both_styles_of_RoPE_fields_give_the_same_record(string family)
    {
        var older = Config(family, config =>
        {
            if (config["rope_parameters"] is not JsonObject parameters)
                return;
            config.Remove("rope_parameters");
            config["rope_theta"] = parameters["rope_theta"]!.DeepClone();
            config["rope_scaling"] = null;
            config["torch_dtype"] = config["dtype"]!.DeepClone();
            config.Remove("dtype");
        });
        var newer = Config(family, config =>
        {
            if (config.ContainsKey("rope_parameters"))
                return;
            var parameters = config["rope_scaling"] as JsonObject ?? new JsonObject { ["type"] = "default" };
            config.Remove("rope_scaling");
            parameters["rope_theta"] = config["rope_theta"]!.DeepClone();
            parameters["rope_type"] = parameters["type"]!.DeepClone();
            parameters.Remove("type");
            config.Remove("rope_theta");
            config["rope_parameters"] = parameters.DeepClone();
            config["dtype"] = config["torch_dtype"]!.DeepClone();
            config.Remove("torch_dtype");
        });
        Assert.Equal(Text(ModelConfig.Load(TestPaths.Golden(family))), Text(Parse(older)));
        Assert.Equal(Text(Parse(older)), Text(Parse(newer)));
    }

    // Model cards tell to switch a scaling on by adding it alone; some releases have raised max_position_embeddings already.
    [Theory]
    [InlineData("{\"rope_type\":\"yarn\",\"factor\":4.0,\"original_max_position_embeddings\":256}", 256, 1024)]
    [InlineData("{\"rope_type\":\"yarn\",\"factor\":4.0,\"original_max_position_embeddings\":256}", 1024, 1024)]
    [InlineData("{\"rope_type\":\"yarn\",\"factor\":4.0,\"original_max_position_embeddings\":256}", 2048, 2048)]
    [InlineData("{\"rope_type\":\"yarn\",\"factor\":2.5}", 256, 640)]
    [InlineData("{\"type\":\"linear\",\"factor\":2.0}", 256, 512)]
    [InlineData("{\"type\":\"linear\",\"factor\":0.5}", 256, 256)]
    [InlineData("{\"type\":\"linear\",\"factor\":1000000}", 2147483647, 2147483647)]
    [InlineData("{\"rope_type\":\"llama3\",\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,\"original_max_position_embeddings\":64}", 256, 256)]
    [InlineData("null", 256, 256)]
    public void The_context_is_what_the_scaling_reaches(string scaling, int positions, int context)
    {
        var model = Parse(Config("qwen3_moe", config =>
        {
            config.Remove("rope_parameters");
            (config["rope_theta"], config["rope_scaling"], config["max_position_embeddings"]) = (1e6, JsonNode.Parse(scaling), positions);
        }));
        Assert.Equal(context, model.MaxPositions);
    }

    [Fact]
    public void Experts_may_go_by_either_name()
    {
        foreach (var (family, name, other) in new[] { ("mixtral", "num_local_experts", "num_experts"), ("olmoe", "num_experts", "num_local_experts"), ("qwen3_moe", "num_local_experts", "num_experts"), ("deepseek_v2", "n_routed_experts", "num_experts") })
        {
            var renamed = Config(family, config =>
            {
                config[other] = config[name]!.DeepClone();
                config.Remove(name);
            });
            Assert.Equal(Text(ModelConfig.Load(TestPaths.Golden(family))), Text(Parse(renamed)));
            Refused(family, config => config[other] = 3, "another name for it says");
        }
    }

    [Fact]
    public void Sliding_windows_follow_each_familys_rule()
    {
        Assert.Equal([8, 8, 8], Windows("mixtral", config => config["sliding_window"] = 8));
        Assert.Equal([null, null, null], Windows("mixtral", _ => { }));
        Assert.Equal([8, 8, 8], Windows("qwen3_moe", config => (config["sliding_window"], config["use_sliding_window"]) = (8, true)));
        Assert.Equal([null, null, null], Windows("qwen3_moe", config => config["sliding_window"] = 8));
        Assert.Equal([8, null, 8], Windows("qwen2_moe", config => (config["sliding_window"], config["use_sliding_window"], config["layer_types"]) = (8, true, null)));
        Assert.Equal([8, null, null], Windows("qwen2_moe", config => (config["sliding_window"], config["use_sliding_window"], config["layer_types"], config["max_window_layers"]) = (8, true, null, 2)));
        Assert.Equal([null, 8, null], Windows("qwen2_moe", config => (config["sliding_window"], config["use_sliding_window"], config["layer_types"]) =
            (8, true, new JsonArray("full_attention", "sliding_attention", "full_attention"))));
        Refused("qwen2_moe", config => config["layer_types"] = new JsonArray("full_attention", "sliding_attention", "full_attention"), "layer 1 has a sliding window, but 'use_sliding_window' is false");
        Refused("qwen2_moe", config => config["layer_types"] = new JsonArray("full_attention"), "'layer_types' holds 1 entries, expected 3");
        Refused("mixtral", config => config["layer_types"] = new JsonArray("sliding_attention", "full_attention", "full_attention"), "'layer_types' holds 'sliding_attention'");
        Refused("mixtral", config => config["sliding_window"] = 0, "'sliding_window' is 0");
        Refused("olmoe", config => config["sliding_window"] = 8, "'sliding_window' is 8, which is not implemented");
    }

    [Fact]
    public void Sparse_layers_follow_each_familys_rule()
    {
        Assert.Equal([false, true, false], Sparse("qwen3_moe", config => config["decoder_sparse_step"] = 2));
        Assert.Equal([false, true, true], Sparse("qwen3_moe", config => config["mlp_only_layers"] = new JsonArray(0)));
        Assert.Equal([true, true, false], Sparse("qwen2_moe", config => config["mlp_only_layers"] = new JsonArray(2)));
        Assert.Equal([true, true, true], Sparse("deepseek_v2", config => config["first_k_dense_replace"] = 0));
        Assert.Equal([false, false, true], Sparse("deepseek_v2", config => config["moe_layer_freq"] = 2));
        Assert.Equal([false, false, false], Sparse("deepseek_v2", config => config["n_routed_experts"] = null));
        Assert.Null(Parse(Config("deepseek_v2", config => config["n_routed_experts"] = null)).Moe);
        Assert.Null(Parse(Config("qwen3_moe", config => config["mlp_only_layers"] = new JsonArray(0, 1, 2))).Moe);
    }

    [Fact]
    public void Fields_that_the_golden_folders_leave_alone_count()
    {
        Assert.Equal(3.5f, Parse(Config("olmoe", config => config["clip_qkv"] = 3.5)).Attention.ClipQkv);
        Assert.True(Parse(Config("olmoe", config => config["norm_topk_prob"] = true)).Moe!.NormTopK);
        Assert.False(Parse(Config("qwen3_moe", config => config["norm_topk_prob"] = false)).Moe!.NormTopK);
        var biased = Parse(Config("qwen3_moe", config => config["attention_bias"] = true));
        Assert.Equal("model.layers.0.self_attn.o_proj.bias", biased.Tensors.Layer(0).Attention.OutputBias!.Name);
        Assert.Null(Parse(Config("qwen2_moe", config => config["qkv_bias"] = false)).Tensors.Layer(0).Attention.QueryBias);
        var tied = Parse(Config("mixtral", config => config["tie_word_embeddings"] = true));
        Assert.Equal("model.embed_tokens.weight", tied.Tensors.Head.Name);
        Assert.DoesNotContain(tied.Tensors.All(), tensor => tensor.Name.StartsWith("lm_head", StringComparison.Ordinal));
        var grouped = Parse(Config("deepseek_v2", config => (config["topk_method"], config["n_group"], config["topk_group"], config["routed_scaling_factor"]) = ("group_limited_greedy", 4, 2, 16)));
        Assert.Equal((4, 2, 16f), (grouped.Moe!.Groups, grouped.Moe.TopKGroups, grouped.Moe.RoutedScale));
        var latent = Parse(Config("deepseek_v2", config => (config["q_lora_rank"], config["attention_bias"]) = (24, true))).Tensors.Layer(1).Attention;
        Assert.Equal(new long[] { 24, 64 }, latent.QueryDown!.Shape);
        Assert.Equal(new long[] { 96, 24 }, latent.QueryUp!.Shape);
        Assert.Equal((null, "model.layers.1.self_attn.q_a_proj.bias", "model.layers.1.self_attn.kv_a_proj_with_mqa.bias"), (latent.Query, latent.QueryDownBias!.Name, latent.LatentDownBias!.Name));
        Assert.Equal(16, Parse(Config("qwen3_moe", config => config.Remove("head_dim"))).Attention.HeadSize);
        Assert.Equal(0, Parse(Config("deepseek_v2", config => config["n_shared_experts"] = null)).Moe!.SharedIntermediate);
    }

    [Theory]
    [InlineData("olmoe", "num_sinks", "4", "field 'num_sinks' (here 4) is not known to this program")]
    [InlineData("olmoe", "quantization_config", "{\"quant_method\":\"gptq\"}", "quantised checkpoints are not supported")]
    [InlineData("olmoe", "model_type", "\"llama\"", "model_type 'llama' is not implemented: it is a dense model, without experts to leave out (expected one of deepseek_v2, mixtral")]
    [InlineData("olmoe", "model_type", "\"bert\"", "model_type 'bert' is not implemented: it encodes or translates")]
    [InlineData("olmoe", "model_type", "\"qwen9_moe\"", "model_type 'qwen9_moe' is not implemented (expected one of")]
    [InlineData("olmoe", "quantization", "{\"group_size\":64,\"bits\":4}", "quantised by mlx to 4 bits")]
    [InlineData("olmoe", "quantization_config", "{\"quant_method\":\"fp8\"}", "quantised by fp8, and")]
    [InlineData("olmoe", "quantization_config", "{\"load_in_4bit\":true}", "quantised by a method that isn't named to 4 bits")]
    [InlineData("olmoe", "quantization_config", "{}", null)]
    [InlineData("olmoe", "model_type", "null", "'model_type' is missing")]
    [InlineData("olmoe", "hidden_act", "\"gelu\"", "'hidden_act' is \"gelu\", which is not implemented (expected silu)")]
    [InlineData("olmoe", "mlp_bias", "true", "'mlp_bias' is true, which is not implemented (expected false)")]
    [InlineData("olmoe", "partial_rotary_factor", "0.5", "'partial_rotary_factor' is 0.5, which is not implemented")]
    [InlineData("olmoe", "hidden_size", "null", "'hidden_size' is null, expected a whole number from 1 to")]
    [InlineData("olmoe", "hidden_size", "-64", "'hidden_size' is -64, expected a whole number from 1 to")]
    [InlineData("olmoe", "hidden_size", "1000000000000", "'hidden_size' is 1000000000000, expected a whole number from 1 to")]
    [InlineData("olmoe", "hidden_size", "\"64\"", "'hidden_size' is \"64\", expected a whole number")]
    [InlineData("olmoe", "hidden_size", "66", "'hidden_size' 66 is not a multiple of 'num_attention_heads' 4")]
    [InlineData("olmoe", "num_key_value_heads", "3", "4 attention heads can't share 3 key-value heads evenly")]
    [InlineData("olmoe", "num_experts_per_tok", "17", "17 experts a token, but there are only 16")]
    [InlineData("olmoe", "num_hidden_layers", "100000000", "'num_hidden_layers' is 100000000")]
    [InlineData("olmoe", "intermediate_size", "16777216", null)]
    [InlineData("olmoe", "num_experts", "65536", null)]
    [InlineData("olmoe", "rms_norm_eps", "0", "'rms_norm_eps' is 0, expected a number above 0")]
    [InlineData("olmoe", "tie_word_embeddings", "1", "'tie_word_embeddings' is 1, expected true or false")]
    [InlineData("olmoe", "rope_parameters", "{\"rope_type\":\"dynamic\",\"factor\":2}", "RoPE of type 'dynamic' is not implemented")]
    [InlineData("olmoe", "rope_parameters", "{\"factor\":2}", "there is a 'factor' but no 'rope_type', expected default, linear, yarn or llama3")]
    [InlineData("olmoe", "rope_parameters", "{\"rope_type\":\"linear\"}", "'rope_parameters.factor' is missing, expected a number above 0")]
    [InlineData("olmoe", "rope_parameters", "{\"full_attention\":{\"rope_type\":\"default\"}}", "field 'full_attention'")]
    [InlineData("olmoe", "rope_parameters", "{\"rope_type\":\"linear\",\"factor\":2,\"beta\":1}", "field 'beta' (here 1) is not known")]
    [InlineData("olmoe", "rope_theta", "500.0", "'rope_theta' is 500, but 10000 inside")]
    [InlineData("olmoe", "rope_scaling", "{\"type\":\"linear\",\"factor\":2}", "both 'rope_parameters' and 'rope_scaling'")]
    [InlineData("deepseek_v2", "topk_method", "\"noaux_tc\"", "'topk_method' is 'noaux_tc', expected 'greedy'")]
    [InlineData("deepseek_v2", "scoring_func", "\"sigmoid\"", "'scoring_func' is \"sigmoid\", which is not implemented (expected softmax)")]
    [InlineData("deepseek_v2", "norm_topk_prob", "true", "'norm_topk_prob' is true, expected false in this family")]
    [InlineData("deepseek_v2", "num_key_value_heads", "2", "'num_key_value_heads' is 2, expected 4")]
    [InlineData("deepseek_v2", "qk_rope_head_dim", "7", "expected")]
    [InlineData("scmoe/top2", "shortcut_position", "4", "'shortcut_position' is 4, expected a whole number from 0 to 3")]
    [InlineData("scmoe/top2", "routing", "\"dual\"", "'num_experts_per_tok' is 2, expected 1: 'routing' \"dual\" takes one expert by each of two representations")]
    [InlineData("scmoe/dgmoe", "num_experts", "1", "'num_experts' is 1, expected at least 2")]
    [InlineData("scmoe/top2", "routing", "\"twice\"", "'routing' is \"twice\", expected \"single\" or \"dual\"")]
    [InlineData("scmoe/top2", "combine", "\"cg1\"", "'combine' is \"cg1\", which weighs a shared expert, but there is none: expected 'shared_expert' true, or \"add\"")]
    [InlineData("scmoe/pos2_cg1", "combine", "\"cg3\"", "'combine' is \"cg3\", expected \"add\" or \"cg1\" or \"cg2\"")]
    [InlineData("scmoe/top2", "num_hidden_layers", "3", "'num_hidden_layers' is 3, expected an even number")]
    [InlineData("scmoe/top2", "num_experts_per_tok", "7", "7 experts a token, but there are only 6")]
    [InlineData("scmoe/top2", "num_experts_per_tok", "null", "'num_experts_per_tok' is null, expected a whole number")]
    public void A_field_that_is_not_implemented_or_out_of_range_is_refused_by_name(string family, string field, string value, string? expected)
    {
        if (expected is null)
            Parse(Config(family, config => config[field] = JsonNode.Parse(value)));
        else
            Refused(family, config => config[field] = JsonNode.Parse(value), expected);
    }

    [Fact]
    public void A_model_too_large_to_exist_is_refused() => Refused(
        "olmoe",
        config => (config["num_experts"], config["intermediate_size"], config["hidden_size"]) = (65536, 1 << 24, 1 << 20),
        "head of 262144 elements is too wide");

    [Fact]
    public void Absurd_parameter_counts_are_refused() => Refused(
        "mixtral",
        config => (config["num_local_experts"], config["intermediate_size"]) = (65536, 1 << 24),
        "parameters, expected at most");

    // An escape that stands for no character: the reader of JSON refuses to compare it.
    [Fact]
    public void A_string_of_no_character_is_none_that_is_known()
    {
        string config = Config("olmoe", fields => fields["hidden_act"] = "gelu").Replace("\"gelu\"", "\"\\ud800\"", StringComparison.Ordinal);
        var error = Assert.Throws<ModelFormatException>(() => Parse(config));
        Assert.Contains("'hidden_act' is \"\\ud800\", which is not implemented (expected silu)", error.Message);
    }

    private static string Config(string family, Action<JsonObject> change)
    {
        var config = JsonNode.Parse(File.ReadAllText(TestPaths.Golden(family, "config.json")))!.AsObject();
        change(config);
        return config.ToJsonString();
    }

    private static ModelConfig Parse(string config) =>
        ModelConfig.Parse(System.Text.Encoding.UTF8.GetBytes(config), "config.json", null, "generation_config.json");

    private static int?[] Windows(string family, Action<JsonObject> change) => [.. Parse(Config(family, change)).LayerPlan.Select(layer => layer.SlidingWindow)];

    private static bool[] Sparse(string family, Action<JsonObject> change) => [.. Parse(Config(family, change)).LayerPlan.Select(layer => layer.IsMoe)];

    private static void Refused(string family, Action<JsonObject> change, string expected)
    {
        var error = Assert.Throws<ModelFormatException>(() => Parse(Config(family, change)));
        Assert.StartsWith("config.json: ", error.Message);
        Assert.Contains(expected, error.Message);
    }

    // Lists compare by reference inside records; their text doesn't. The scaling is shown by its derived type.
    private static string Text(ModelConfig model) =>
        JsonSerializer.Serialize(new { Model = model with { Generation = new() }, Scaling = (object?)model.Rope.Scaling, model.Generation.BosId, model.Generation.EosIds });
}
