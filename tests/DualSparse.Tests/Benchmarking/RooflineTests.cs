using DualSparse.Benchmarking;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;

namespace DualSparse.Tests.Benchmarking;

public class RooflineTests
{
    private static readonly LayerShape Shape = new("small", Experts: 4, TopK: 2, Hidden: 64, Neurons: 32, SharedNeurons: 16);

    [Fact]
    public void Counts_bytes_of_halves_that_have_a_row_and_operations_of_every_pair()
    {
        var batch = new ExpertBatch();
        batch.Experts.Add(new ExpertRows(1, 0, Full: 2, Count: 3));
        batch.Experts.Add(new ExpertRows(3, 3, Full: 0, Count: 1));
        var floor = Roofline.Of(WeightFormat.Bf16, Shape, batch);
        Assert.Equal(2.0 * 3 * 64 * (32 + 16), floor.Bytes);
        Assert.Equal(6.0 * 64 * (2 * 32 + 16 + 16), floor.Operations);
        var shared = floor.WithShared(WeightFormat.Bf16, Shape, 5);
        Assert.Equal(floor.Bytes + 2 * 3 * 64 * 16, shared.Bytes);
        Assert.Equal(floor.Operations + 6 * 64 * 16 * 5, shared.Operations);
        Assert.Equal(Math.Max(floor.Bytes / 100, floor.Operations / 1000), floor.Seconds(100, 1000));
    }

    [Theory]
    [InlineData(0.1)]
    [InlineData(0.25)]
    [InlineData(0.5)]
    [InlineData(0.75)]
    public void Thresholds_hit_the_drop_rate(double rate)
    {
        var plan = RandomRouting.Make(LayerShape.Named("olmoe"), 2000, 1);
        var thresholds = LayerBenchmark.Request([plan], rate).Thresholds;
        double dropped = 0;
        for (int i = 0; i < plan.Scores.Length; i++)
            dropped += DropPolicy.Decide(plan.Scores[i], i % plan.TopK == 0, thresholds, guard: true) switch { Computation.Drop => 1, Computation.Major => 0.5, _ => 0 };
        Assert.InRange(dropped / plan.Scores.Length, rate - 0.002, rate + 0.002);
    }

    [Fact]
    public void Single_tokens_take_every_expert_of_a_layer_once()
    {
        var plans = Enumerable.Range(0, 2 * 2).Select(s => RandomRouting.Make(Shape, 1, s)).ToArray();
        RandomRouting.AssignDistinctExperts(Shape, plans, layers: 2);
        Assert.Equal([0, 1, 2, 3], plans[0].Experts.ToArray().Concat(plans[2].Experts.ToArray()).Order());
        Assert.Equal([0, 1, 2, 3], plans[1].Experts.ToArray().Concat(plans[3].Experts.ToArray()).Order());
    }

    [Theory]
    [InlineData(WeightFormat.F32, 4 * 6144)]
    [InlineData(WeightFormat.Bf16, 2 * 6144)]
    [InlineData(WeightFormat.Int8, 6144 + 4 * (2 * 32 + 64))]
    [InlineData(WeightFormat.Int4, 3072 + 6144 / 32 * 2)]
    public void Counts_the_scales_too(WeightFormat format, double bytes)
    {
        var batch = new ExpertBatch();
        batch.Experts.Add(new ExpertRows(0, 0, 1, 1));
        Assert.Equal(bytes, Roofline.Of(format, Shape, batch).Bytes);
    }

    [Fact]
    public void A_layer_is_timed_against_its_roofline()
    {
        var report = LayerBenchmark.Run(Shape, WeightFormat.Int8, [1, 5], [0, 0.5], threads: 2, rounds: 1, workingSetBytes: 1);
        Assert.Equal([(1, 0.0), (1, 0.5), (5, 0.0), (5, 0.5)], report.Results.Select(r => (r.Tokens, Math.Round(r.DropRate * 2) / 2)));
        Assert.All(report.Results, r => Assert.True(r.Milliseconds > 0 && r.FloorMilliseconds > 0 && r.TimesFloor > 0 && r.PairedTimesFloor > 0 && r.PairedTimesFloor <= r.TimesFloor));
        Assert.All(report.Results.Where(r => r.DropRate == 0), r => Assert.Equal((1.0, 1.0), (r.TimeRatio, r.FloorRatio)));
        Assert.All(report.Results.Where(r => r.DropRate > 0), r => Assert.True(r.FloorRatio < 1));
    }

    [Fact]
    public void Counts_a_whole_model()
    {
        var config = DualSparse.Models.ModelConfig.Load(TestPaths.Golden("olmoe"));
        var one = ModelRoofline.Of(config, WeightFormat.Bf16, 1);
        double attention = 4 * 64 * 64, experts = 4 * 3 * 64 * 48, router = 16 * 64, head = 320 * 64;
        Assert.Equal(2 * (3 * (attention + experts) + head) + 4 * 3 * router, one.Bytes, 6);
        Assert.Equal(2 * (3 * (attention + experts + router) + head), one.Operations, 6);
    }

    [Fact]
    public void A_random_checkpoint_has_its_layers_shape()
    {
        using var folder = new TemporaryFolder();
        foreach (var shape in LayerShape.All)
        {
            File.WriteAllText(folder.File("config.json"), RandomCheckpoint.Config(shape, layers: 3));
            var config = DualSparse.Models.ModelConfig.Load(folder.Path);
            var moe = config.Moe!;
            Assert.Equal(shape, new LayerShape(shape.Name, moe.Experts, moe.TopK, config.HiddenSize, moe.Intermediate, moe.SharedIntermediate));
            Assert.Equal(3, config.Layers);
        }
    }

    [Fact]
    public void A_dropped_model_is_timed_beside_the_dense_one()
    {
        using var model = Transformer.Load(TestPaths.Golden("olmoe"), new EngineOptions { Threads = 2, Weights = WeightFormat.F32 });
        var report = ModelBenchmark.Run(model, [32, 1 << 20], generate: 16, rounds: 1, [1, 3], new DropRequest { Rate = 0.5 }, cancel: TestContext.Current.CancellationToken);
        Assert.Equal([("prompt", 32), ("prompt", 32), ("generate", 16), ("generate", 16), ("generate × 3", 16), ("generate × 3", 16)], report.Results.Select(r => (r.Test, r.Tokens)));
        Assert.All(report.Results.Where((_, i) => i % 2 == 0), r => Assert.Equal((0.0, 1.0, 1.0), (r.DropRate, r.TimeRatio, r.FloorRatio)));
        Assert.All(report.Results.Where((_, i) => i % 2 == 1), r => Assert.True(r.DropRate is > 0.3 and < 0.7 && r.FloorRatio is > 0 and < 1 && r.TokensPerSecond > 0));
        Assert.Single(ModelBenchmark.Run(model, [8], generate: 0, rounds: 1, [1], cancel: TestContext.Current.CancellationToken).Results);
    }

    [Fact]
    public void Median_is_the_middle()
    {
        Assert.Equal(2, Statistics.Median([3, 1, 2]));
        Assert.Equal(2.5, Statistics.Median([4, 1, 2, 3]));
    }

    [Theory]
    [InlineData(1, 0, 0)]
    [InlineData(5, 0, 4)]
    [InlineData(8, 0, 7)]
    [InlineData(9, 1, 7)]
    [InlineData(15, 3, 11)]
    [InlineData(100, 39, 60)]
    public void Medians_have_intervals(int count, int low, int high) =>
        Assert.Equal((low, high), Statistics.MedianInterval([.. Enumerable.Range(0, count).Select(i => (double)i)]));
}
