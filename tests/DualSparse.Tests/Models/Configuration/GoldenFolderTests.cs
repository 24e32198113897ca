using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Models.Configuration;

public class GoldenFolderTests
{
    [Theory]
    [InlineData("mixtral")]
    [InlineData("olmoe")]
    [InlineData("qwen2_moe")]
    [InlineData("qwen3_moe")]
    [InlineData("deepseek_v2")]
    [InlineData("scmoe/top2")]
    [InlineData("scmoe/shared_expert")]
    public void Opens_with_exactly_the_tensors_its_configuration_asks_for(string family)
    {
        using var checkpoint = Checkpoint.Open(TestPaths.Golden(family));
        Assert.Equal(checkpoint.Names.Order(), checkpoint.Config.Tensors.All().Select(tensor => tensor.Name).Order());
        Assert.Equal(family.Split('/')[0], checkpoint.Config.ModelType);
        foreach (string name in checkpoint.Names)
            Assert.All(checkpoint.Get(name).ReadFloats(), value => Assert.True(float.IsFinite(value)));
    }

    [Fact]
    public void The_model_that_ships_opens()
    {
        using var checkpoint = Checkpoint.Open(TestPaths.InRepository("models", "olmoe-mini"));
        Assert.Equal(checkpoint.Names.Order(), checkpoint.Config.Tensors.All().Select(tensor => tensor.Name).Order());
        Assert.True(checkpoint.Config.TieEmbeddings);
        Assert.Equal([0], checkpoint.Config.Generation.EosIds);
        Assert.Equal(0.95f, checkpoint.Config.Generation.TopP);
    }

    [Theory]
    [InlineData("deepseek_v3")]
    [InlineData("gpt_oss")]
    [InlineData("longcat_flash")]
    public void A_family_to_come_is_refused_by_name(string family)
    {
        var error = Assert.Throws<ModelFormatException>(() => Checkpoint.Open(TestPaths.Golden(family)));
        Assert.Contains($"model_type '{family}' is not implemented", error.Message);
        using var weights = SafetensorsFile.Open(TestPaths.Golden(family, "model.safetensors"));
        Assert.NotEmpty(weights.Tensors);
    }

    [Fact]
    public void Golden_figures_read_as_numbers()
    {
        using var golden = SafetensorsFile.Open(TestPaths.Golden("olmoe", "golden.safetensors"));
        long[] ids = golden.Get("input_ids", 2, 40).ReadInt64s();
        Assert.All(ids, id => Assert.InRange(id, 0, 319));
        var logits = golden.Get("logits", 2, 40, 320);
        var row = new float[40 * 320];
        logits.ReadRow(1, row);
        Assert.Equal(logits.ReadFloats()[(40 * 320)..], row);
        Assert.Equal(40 * 320 * 4, logits.RowBytes(1).Length);
    }

    [Fact]
    public void What_the_families_differ_in_is_in_the_record()
    {
        var mixtral = ModelConfig.Load(TestPaths.Golden("mixtral"));
        Assert.True(mixtral.Moe!.NormTopK);
        Assert.Equal((1e6, 16, 2), (mixtral.Rope.Theta, mixtral.Attention.HeadSize, mixtral.Attention.KeyValueHeads));
        var olmoe = ModelConfig.Load(TestPaths.Golden("olmoe"));
        Assert.Equal((QueryKeyNorm.FullWidth, false), (olmoe.Attention.QueryKeyNorm, olmoe.Moe!.NormTopK));
        var qwen2 = ModelConfig.Load(TestPaths.Golden("qwen2_moe"));
        Assert.Equal([true, false, true], qwen2.LayerPlan.Select(layer => layer.IsMoe));
        Assert.Equal((96, true, true, false), (qwen2.Moe!.SharedIntermediate, qwen2.Moe.Combine == CombineGate.Shared, qwen2.Attention.QkvBias, qwen2.Attention.OutputBias));
        var qwen3 = ModelConfig.Load(TestPaths.Golden("qwen3_moe"));
        Assert.Equal((QueryKeyNorm.PerHead, 32, true, 16), (qwen3.Attention.QueryKeyNorm, qwen3.Attention.HeadSize, qwen3.Moe!.NormTopK, qwen3.Moe.Experts));
    }

    [Fact]
    public void ScMoE_has_experts_in_every_other_layer_and_renormalises_several()
    {
        var several = ModelConfig.Load(TestPaths.Golden("scmoe/top2"));
        Assert.Equal([64, 0, 64, 0], several.LayerPlan.Select(layer => layer.DenseIntermediate));
        Assert.Equal((6, 2, 32, true, 0), (several.Moe!.Experts, several.Moe.TopK, several.Moe.Intermediate, several.Moe.NormTopK, several.Moe.SharedIntermediate));
        Assert.True(several.TieEmbeddings);
        var one = ModelConfig.Load(TestPaths.Golden("scmoe/shared_expert")).Moe!;
        Assert.Equal((1, false, 32, false), (one.TopK, one.NormTopK, one.SharedIntermediate, one.Combine != CombineGate.None));
    }

    [Fact]
    public void DeepSeek_puts_YaRNs_mscale_into_the_softmax_scale()
    {
        var model = ModelConfig.Load(TestPaths.Golden("deepseek_v2"));
        double mscale = 0.1 * 0.707 * Math.Log(40) + 1;
        Assert.Equal(1 / Math.Sqrt(24) * mscale * mscale, model.Attention.SoftmaxScale, 1e-7);
        Assert.Equal(1.5896, mscale * mscale, 1e-4);
        Assert.Equal(1, model.Rope.AttentionFactor);
        Assert.True(model.Rope.Interleaved);
        Assert.Equal([128, 0, 0], model.LayerPlan.Select(layer => layer.DenseIntermediate));
        Assert.Equal(96, model.Moe!.SharedIntermediate);
    }
}
