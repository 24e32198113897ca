using System.Text;
using System.Text.Json.Nodes;
using DualSparse.Engine.Loading;
using DualSparse.Kernels;
using DualSparse.Models;

namespace DualSparse.Tests.Models.Configuration;

/// <summary>The config.json and generation_config.json of released checkpoints, field by field, are read and give the models that their makers describe.</summary>
public class PublishedConfigTests
{
    // Layers with experts, experts, of which a token takes, neurons of one; then all parameters, which the releases' weights hold.
    [Theory]
    [InlineData("mixtral-8x7b", 32, 8, 2, 14336, 46_702_792_704)]
    [InlineData("mixtral-8x22b-instruct", 56, 8, 2, 16384, 140_630_071_296)]
    [InlineData("olmoe-1b-7b-0924", 16, 64, 8, 1024, 6_919_161_856)]
    [InlineData("olmoe-1b-7b-0125-instruct", 16, 64, 8, 1024, 6_919_161_856)]
    [InlineData("qwen1.5-moe-a2.7b-chat", 24, 60, 4, 1408, 14_315_784_192)]
    [InlineData("qwen2-57b-a14b-instruct", 28, 64, 8, 2560, 57_408_658_944)]
    [InlineData("qwen3-30b-a3b", 48, 128, 8, 768, 30_532_122_624)]
    [InlineData("qwen3-30b-a3b-instruct-2507", 48, 128, 8, 768, 30_532_122_624)]
    [InlineData("qwen3-coder-30b-a3b-instruct", 48, 128, 8, 768, 30_532_122_624)]
    [InlineData("deepseek-v2-lite-chat", 26, 64, 6, 1408, 15_706_484_224)]
    [InlineData("deepseek-coder-v2-lite-instruct", 26, 64, 6, 1408, 15_706_484_224)]
    [InlineData("deepseek-v2-chat", 59, 160, 6, 1536, 235_741_434_880)]
    public void Is_read_with_its_shape_and_size(string name, int sparse, int experts, int topK, int neurons, long parameters)
    {
        var config = Load(name);
        Assert.Equal((sparse, experts, topK, neurons), (config.LayerPlan.Count(layer => layer.IsMoe), config.Moe!.Experts, config.Moe.TopK, config.Moe.Intermediate));
        Assert.Equal(parameters, config.Tensors.All().Sum(tensor => tensor.Shape.Aggregate(1L, (product, n) => product * n)));
        Assert.NotEmpty(config.Generation.EosIds);
        Assert.All(config.LayerPlan, layer => Assert.Null(layer.SlidingWindow));

        // All but the embedding is packed: two bytes a number, a byte and its scales, half a byte and a scale for 32.
        long packed = parameters - (long)config.VocabSize * config.HiddenSize;
        Assert.InRange(MemoryNeed.WeightBytes(config, WeightFormat.Bf16) / (double)packed, 1.99, 2.02);
        Assert.InRange(MemoryNeed.WeightBytes(config, WeightFormat.Int8) / (double)packed, 1, 1.03);
        Assert.InRange(MemoryNeed.WeightBytes(config, WeightFormat.Int4) / (double)packed, 0.5, 0.68);
    }

    [Fact]
    public void DeepSeek_V2_routes_by_groups_and_scales()
    {
        var moe = Load("deepseek-v2-chat").Moe!;
        Assert.Equal((8, 3, 16f, 3072, false), (moe.Groups, moe.TopKGroups, moe.RoutedScale, moe.SharedIntermediate, moe.NormTopK));
        var lite = Load("deepseek-v2-lite-chat");
        Assert.Equal((1, 1, 1f, 2816), (lite.Moe!.Groups, lite.Moe.TopKGroups, lite.Moe.RoutedScale, lite.Moe.SharedIntermediate));
        Assert.Equal((0.3f, 0.95f), (lite.Generation.Temperature, lite.Generation.TopP));
    }

    [Theory]
    [InlineData("quantization_config", """{"quant_method":"awq","bits":4}""", "quantised checkpoints are not supported")]
    [InlineData("quantization", """{"group_size":64,"bits":4}""", "quantised checkpoints are not supported")]
    [InlineData("use_qk_norm", "false", "'use_qk_norm' is false, which is not implemented (expected true)")]
    [InlineData("shared_expert_intermediate_size", "768", "'shared_expert_intermediate_size' is 768, which is not implemented (expected 0)")]
    public void What_would_change_the_model_is_still_refused(string field, string value, string expected)
    {
        var error = Assert.Throws<ModelFormatException>(() => Load("qwen3-coder-30b-a3b-instruct", config => config[field] = JsonNode.Parse(value)));
        Assert.Contains(expected, error.Message);
    }

    private static ModelConfig Load(string name, Action<JsonObject>? change = null)
    {
        string path = TestPaths.InRepository("tests", "DualSparse.Tests", "Models", "Configuration", "published", $"{name}.json");
        var both = JsonNode.Parse(File.ReadAllText(path))!;
        var config = both["config"]!.AsObject();
        change?.Invoke(config);
        return ModelConfig.Parse(Bytes(config), "config.json", Bytes(both["generation"]!), "generation_config.json");
    }

    private static byte[] Bytes(JsonNode node) => Encoding.UTF8.GetBytes(node.ToJsonString());
}
