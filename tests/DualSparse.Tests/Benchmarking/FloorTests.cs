using DualSparse.Benchmarking;
using DualSparse.Engine.Moe;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;

namespace DualSparse.Tests.Benchmarking;

public class FloorTests
{
    private static readonly LayerShape Shape = new("small", Experts: 4, TopK: 2, Hidden: 64, Neurons: 32, SharedNeurons: 16);

    [Fact]
    public void Counts_bytes_of_halves_that_have_a_row_and_operations_of_every_pair()
    {
        var batch = new ExpertBatch();
        batch.Experts.Add(new ExpertRows(1, 0, Full: 2, Count: 3));
        batch.Experts.Add(new ExpertRows(3, 3, Full: 0, Count: 1));
        var floor = Floor.Of(WeightFormat.Bf16, Shape, batch);
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
        var thresholds = LayerBenchmark.Thresholds([plan], rate);
        double dropped = 0;
        for (int i = 0; i < plan.Scores.Length; i++)
            dropped += DropPolicy.Decide(plan.Scores[i], i % plan.TopK == 0, thresholds, guard: true) switch { Computation.Drop => 1, Computation.Major => 0.5, _ => 0 };
        Assert.InRange(dropped / plan.Scores.Length, rate - 0.002, rate + 0.002);
    }

    [Fact]
    public void Median_is_the_middle()
    {
        Assert.Equal(2, Statistics.Median([3, 1, 2]));
        Assert.Equal(2.5, Statistics.Median([4, 1, 2, 3]));
    }
}
