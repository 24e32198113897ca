using System.Text;
using System.Text.Json.Nodes;
using DualSparse.Models;

namespace DualSparse.Tests.Models.Configuration;

/// <summary>Configurations with a vision tower, which are two objects in one.</summary>
public class VisionConfigTests
{
    [Fact]
    public void The_golden_one_is_read_whole()
    {
        var model = Parse(_ => { });
        var vision = model.Vision!;
        Assert.Equal(("qwen3_vl_moe", 64, 4, 16, 4, true), (model.ModelType, model.HiddenSize, model.Layers, model.Moe!.Experts, model.Moe.TopK, model.Moe.NormTopK));
        Assert.Equal((3, 48, 4, 12, 96, 96, 192), (vision.Layers, vision.HiddenSize, vision.Heads, vision.HeadSize, vision.Intermediate, vision.PatchValues, vision.MergedSize));
        Assert.Equal((8, 300, 301, 302, 303), (vision.GridSide, vision.ImageToken, vision.VideoToken, vision.StartToken, vision.EndToken));
        Assert.Equal([0, 1, 2], vision.DeepLayers);
        Assert.Equal([4, 2, 2], model.Rope.GridSections!);
    }

    [Fact]
    public void Names_of_transformers_4_are_read_and_closing_ids_of_the_text_model()
    {
        var old = Parse(config =>
        {
            var text = config["text_config"]!.AsObject();
            (text["num_experts"], text["rope_scaling"], text["rope_theta"], text["eos_token_id"]) = (16, text["rope_parameters"]!.DeepClone(), 1e6, 7);
            text["rope_scaling"]!.AsObject().Remove("rope_theta");
            text.Remove("num_local_experts");
            text.Remove("rope_parameters");
            var vision = config["vision_config"]!.AsObject();
            vision["model_type"] = "qwen3_vl_moe";
            vision.Remove("rope_parameters");
        });
        Assert.Equal((1e6, 16, 1e4), (old.Rope.Theta, old.Moe!.Experts, old.Vision!.Theta));
        Assert.Equal([7], old.Generation.EosIds);
    }

    [Theory]
    [InlineData("text_config", "norm_topk_prob", "false", "'text_config.norm_topk_prob' is false, which is not implemented (expected true)")]
    [InlineData("text_config", "tie_word_embeddings", "true", "'tie_word_embeddings' is false, but true in 'text_config'")]
    [InlineData("text_config", "rope_parameters", "{\"rope_theta\":1e6,\"rope_type\":\"default\"}", "'mrope_section' is missing")]
    [InlineData("text_config", "rope_parameters", "{\"rope_theta\":1e6,\"rope_type\":\"default\",\"mrope_section\":[4,2,1]}", "expected three numbers that make the 8 pairs of a head together")]
    [InlineData("text_config", "rope_parameters", "{\"rope_theta\":1e6,\"mrope_section\":[4,2,2],\"mrope_interleaved\":false}", "mrope_interleaved' is false, which is not implemented (expected true)")]
    [InlineData("text_config", "unheard_of", "1", "'text_config': field 'unheard_of' (here 1) is not known")]
    [InlineData("vision_config", "unheard_of", "1", "'vision_config': field 'unheard_of' (here 1) is not known")]
    [InlineData("vision_config", "num_heads", "5", "'hidden_size' 48 makes 5 heads of no multiple of 4 elements")]
    [InlineData("vision_config", "out_hidden_size", "63", "'out_hidden_size' is 63, expected the text model's hidden size, 64")]
    [InlineData("vision_config", "num_position_embeddings", "65", "'num_position_embeddings' is 65, expected a square")]
    [InlineData("vision_config", "deepstack_visual_indexes", "[1,0]", "expected rising numbers, at most one for each of the text model's 4 layers")]
    [InlineData("vision_config", "hidden_act", "\"relu\"", "hidden_act' is \"relu\", which is not implemented (expected gelu_pytorch_tanh)")]
    [InlineData("vision_config", "in_channels", "4", "in_channels' is 4, expected a whole number from 3 to 3")]
    public void What_doesnt_agree_or_isnt_known_is_refused(string part, string field, string value, string expected)
    {
        var error = Assert.Throws<ModelFormatException>(() => Parse(config => config[part]![field] = JsonNode.Parse(value)));
        Assert.Contains(expected, error.Message);
    }

    [Theory]
    [InlineData("text_config")]
    [InlineData("vision_config")]
    public void Both_parts_must_be_there(string part) =>
        Assert.Contains($"'{part}' is missing", Assert.Throws<ModelFormatException>(() => Parse(config => config.Remove(part))).Message);

    private static ModelConfig Parse(Action<JsonObject> change)
    {
        var config = JsonNode.Parse(File.ReadAllText(TestPaths.Golden("vl", "qwen3_vl_moe", "config.json")))!.AsObject();
        change(config);
        return ModelConfig.Parse(Encoding.UTF8.GetBytes(config.ToJsonString()), "config.json", null, "");
    }
}
