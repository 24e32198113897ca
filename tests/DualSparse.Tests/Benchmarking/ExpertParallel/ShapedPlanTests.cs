using DualSparse.Benchmarking;
using DualSparse.Benchmarking.ExpertParallel;
using DualSparse.Engine.Moe;
using DualSparse.Kernels;

namespace DualSparse.Tests.Benchmarking.ExpertParallel;

/// <summary>Drawn routing has the shape that was asked for, and messages the bytes of its plans.</summary>
public class ShapedPlanTests
{
    private static readonly EpSetting s_setting = new(new LayerShape("small", 16, 4, 64, 128), WeightFormat.Bf16, Threads: 1, Tokens: 200, Layers: 2, Parts: 1, Rounds: 1);

    [Theory]
    [InlineData(2, 1, 1.3, 0)]
    [InlineData(4, 1, 2.5, 0)]
    [InlineData(4, 1, 1.9, 1.0)]
    [InlineData(4, 2, 1.5, 0)]
    public void The_hot_rank_has_the_load_that_was_asked_for(int ranks, int parts, double hot, double zipf)
    {
        var setting = s_setting with { Parts = parts };
        var plans = ShapedPlans.Draw(setting, ranks, zipf, hot);
        for (int layer = 0; layer < setting.Layers; layer++)
        {
            long[] loads = EpRouting.Loads(plans.Select(rank => rank[layer]), setting.Placement(ranks, layer));
            Assert.Equal(ranks * setting.Tokens * setting.Shape.TopK * parts, loads.Sum());
            Assert.InRange(loads[0] / loads.Average(), hot - 0.01, hot + 0.01);
        }

        Assert.Equal(1 / hot, EpRouting.Balancedness(setting, plans), 0.02);
        Assert.All(plans.SelectMany(rank => rank), plan => Assert.All(plan.Experts.ToArray().Chunk(plan.TopK), row => Assert.Equal(plan.TopK, row.Distinct().Count())));
        Assert.NotEqual(plans[0][0].Experts.ToArray(), plans[0][1].Experts.ToArray());
    }

    [Theory]
    [InlineData(1, 2, 2.2)]
    [InlineData(2, 2, 1.5)]
    [InlineData(1, 2, -1)]
    public void A_load_that_no_rank_can_have_is_refused(int parts, int ranks, double hot) =>
        Assert.Contains($"--hot is {hot}, expected", Assert.Throws<ArgumentException>(() => ShapedPlans.Draw(s_setting with { Parts = parts }, ranks, 0, hot)).Message);

    [Fact]
    public void Bytes_are_those_of_rows_pairs_and_experts()
    {
        // Experts 0 to 7 are on rank 0, the others on rank 1. To rank 1 go rows 0 and 2, with three pairs for two experts; row 1's only pair is dropped.
        var plan = new RoutingPlan();
        plan.Reset(3, 2);
        new[] { 8, 9, 3, 8, 0, 8 }.CopyTo(plan.Experts);
        plan.Computations[3] = Computation.Drop;
        Assert.Equal((16 + 2 * 16 + 3 * 8 + 2 * 100L, 2), EpBytes.Rows(plan, s_setting.Placement(2, 0), 1, rowBytes: 100));
        Assert.Equal(2 * 64 * 4, EpBytes.Sums(2, 64));
        Assert.Equal([2L, 3], EpRouting.Loads([plan], s_setting.Placement(2, 0)));
    }

    [Theory]
    [InlineData(3, 2, 1 << 20, 2 * 2 * 64 * 4)]
    [InlineData(3, 6, 1 << 20, 2 * 6 * 64 * 4)]
    [InlineData(3, 6, 1, (4 + 2 * 2) * 64 * 4)]
    public void An_all_reduce_sends_parts_or_shares(int ranks, int rows, int shareFrom, long bytes) =>
        Assert.Equal(bytes, EpBytes.AllReduce(1, ranks, rows, 64, shareFrom));
}
