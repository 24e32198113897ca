using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels;
using DualSparse.Models.Safetensors;
using DualSparse.Sparsify;

namespace DualSparse.Tests.Engine.Loading;

/// <summary>Neurons loaded in another order: as if the checkpoint had been written so.</summary>
public class NeuronOrderTests
{
    [Theory]
    [InlineData("mixtral", WeightFormat.F32)] // stored as f32
    [InlineData("olmoe", WeightFormat.Bf16)] // stored as bf16
    [InlineData("olmoe", WeightFormat.Int8)]
    [InlineData("deepseek_v2", WeightFormat.Int4)] // a dense layer and shared experts, which stay as they are
    public void A_model_in_an_order_is_the_checkpoint_written_in_it(string family, WeightFormat format)
    {
        using var folder = new TemporaryFolder();
        using var source = Checkpoint.Open(TestPaths.Golden(family));
        var (layers, moe) = (source.Config.LayerPlan, source.Config.Moe!);
        var random = new Random(5);
        int[][]?[] orders = [.. layers.Select(l => l.IsMoe ? Enumerable.Range(0, moe.Experts).Select(_ => Shuffled(moe.Intermediate, random)).ToArray() : null)];
        ReorderedCheckpoint.Write(source, orders, folder.Path, new Progress<double>(), TestContext.Current.CancellationToken);

        var options = new EngineOptions { Weights = format, Drop = new DropRequest { Thresholds = new DropThresholds(0.1f, 0.4f) } };
        using var written = Transformer.Load(folder.Path, options);
        using var loaded = Transformer.Load(TestPaths.Golden(family), options with { NeuronOrder = (layer, expert) => orders[layer]![expert] });
        using var asStored = Transformer.Load(TestPaths.Golden(family), options);
        Assert.Equal(Logits(written), Logits(loaded));
        Assert.NotEqual(Logits(asStored), Logits(loaded));
        var text = loaded.NewText();
        Logits(loaded, text);
        Assert.True(text.Counts.MajorOnly > 0);
    }

    [Fact]
    public void What_is_no_order_is_refused() => Assert.Contains("each of an expert's", Assert.Throws<ArgumentException>(
        () => Transformer.Load(TestPaths.Golden("mixtral"), new EngineOptions { NeuronOrder = (_, _) => [0, 1, 1] })).Message);

    // The means of minor halves are those of the checkpoint's.
    [Fact]
    public void Means_of_other_halves_are_refused()
    {
        int neurons = DualSparse.Models.ModelConfig.Load(TestPaths.Golden("mixtral")).Moe!.Intermediate;
        using var model = Transformer.Load(TestPaths.Golden("mixtral"), new EngineOptions { NeuronOrder = (_, _) => [.. Enumerable.Range(0, neurons).Reverse()] });
        var rule = new DropRequest { Thresholds = new DropThresholds(0.1f, 0.4f), Compensate = true };
        Assert.Contains("another order", Assert.Throws<ArgumentException>(() => model.Plan(rule)).Message);
    }

    private static int[] Shuffled(int count, Random random)
    {
        int[] order = [.. Enumerable.Range(0, count)];
        random.Shuffle(order);
        return order;
    }

    private static float[] Logits(Transformer model, TextDrop? drop = null)
    {
        using var cache = model.NewCache(30);
        return model.Forward(cache, [.. Enumerable.Range(5, 30)], LogitRows.All, drop ?? model.NewText()).ToArray();
    }
}
