using DualSparse.Engine;
using DualSparse.Engine.Loading;
using DualSparse.Kernels;
using DualSparse.Tests.Models.Weights;

namespace DualSparse.Tests.Engine.Loading;

/// <summary>A model whose experts are fused is the model whose experts aren't, to the bit.</summary>
public class FusedModelTests
{
    public static TheoryData<string, bool> Cases => FusedExpertsTests.Cases;

    [Theory]
    [MemberData(nameof(Cases))]
    public void Logits_are_those_of_the_separate_experts(string family, bool transposed)
    {
        using var folder = FusedFolder.Write(TestPaths.Golden(family), transposed, maxShardBytes: 100_000);
        foreach (var weights in Enum.GetValues<WeightFormat>())
        {
            var options = new EngineOptions { Weights = weights, Threads = 2 };
            List<LoadProgress> seen = [];
            using Transformer expected = Transformer.Load(TestPaths.Golden(family), options), fused = Transformer.Load(folder.Path, options, new Listener(seen.Add));
            Assert.Equal(Logits(expected), Logits(fused));
            Assert.Equal(expected.Report.WeightBytes, fused.Report.WeightBytes);
            Assert.Equal(fused.Report.WeightBytes, MemoryNeed.WeightBytes(fused.Config, weights));
            Assert.Equal(expected.Report.CheckpointBytes, fused.Report.CheckpointBytes);
            Assert.Equal(seen[^1].TotalBytes, seen[^1].DoneBytes);
        }
    }

    [Theory]
    [InlineData("mixtral", true)]
    [InlineData("olmoe", false)]
    [InlineData("olmoe", true)]
    public void So_they_are_in_another_order_of_neurons_under_a_drop(string family, bool transposed)
    {
        using var folder = FusedFolder.Write(TestPaths.Golden(family), transposed);
        int neurons = DualSparse.Models.ModelConfig.Load(folder.Path).Moe!.Intermediate;
        var options = new EngineOptions
        {
            Drop = new DropRequest { Thresholds = new DropThresholds(0.1f, 0.4f) },
            NeuronOrder = (layer, expert) =>
            {
                int[] order = [.. Enumerable.Range(0, neurons)];
                new Random(layer * 100 + expert).Shuffle(order);
                return order;
            },
        };
        using Transformer expected = Transformer.Load(TestPaths.Golden(family), options), fused = Transformer.Load(folder.Path, options);
        Assert.Equal(Logits(expected), Logits(fused));
    }

    private static float[] Logits(Transformer model)
    {
        using var cache = model.NewCache(30);
        return model.Forward(cache, [.. Enumerable.Range(5, 30)], LogitRows.All).ToArray();
    }

    private sealed class Listener(Action<LoadProgress> told) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => told(value);
    }
}
