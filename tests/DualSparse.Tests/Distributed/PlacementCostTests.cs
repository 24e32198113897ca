using DualSparse.Distributed;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Models;

namespace DualSparse.Tests.Distributed;

/// <summary>Predicted times of placements: by hand, in their order, and at the extremes.</summary>
public class PlacementCostTests
{
    private static readonly MachineRates s_machine = new(10e9, 100e9);

    // Two layers, one of them dense; D 64, E 8, k 2, F 128.
    private static ModelConfig Small(int experts = 8, int topK = 2, QueryKeyNorm norm = QueryKeyNorm.None, int keyValueHeads = 2) => new()
    {
        ModelType = "test",
        VocabSize = 1000,
        HiddenSize = 64,
        MaxPositions = 4096,
        NormEpsilon = 1e-6f,
        TieEmbeddings = false,
        Attention = new() { Heads = 4, KeyValueHeads = keyValueHeads, HeadSize = 16, SoftmaxScale = 0.25f, QueryKeyNorm = norm },
        Rope = new() { Size = 16, Theta = 1e4 },
        LayerPlan = [new(256, null), new(0, null)],
        Moe = new() { Experts = experts, TopK = topK, Intermediate = 512, NormTopK = true },
    };

    // Trunk 64·64·2 + 2·32·64 = 12288 weights of attention; dense MLP 3·64·256 = 49152; expert 3·64·512 = 98304; router 8·64; head 64000.
    [Fact]
    public void One_token_by_hand()
    {
        LinkRates link = new(1e-6, 1e9);
        var cost = Cost(Small(), 2, link);
        // Bytes decide: 10 GB/s. Half of both attentions, the dense MLP, two experts and the head; a router of f32.
        double weights = (2 * 12288 + 49152 + 64000) / 2 * 2.0, experts = 98304 * 2, router = 512 * 4;
        // Two sums of 256 bytes after attention, one after either MLP; half of the logits to rank 0.
        double sums = 4 * (1e-6 + 256 / 1e9) + 1e-6 + 2000 / 1e9;
        Assert.Equal((weights + experts + router) / 10e9 + sums, cost.Seconds(2, PassShape.Token), 1e-12);

        // The trunk whole; ρ = 1 + .564·√(6/7·2/2); of 4 experts' weights a rank, 1 − .75^ρ is read.
        double busiest = 1 + 0.564 * Math.Sqrt(6.0 / 7), read = 4 * 98304 * 2 * (1 - Math.Pow(0.75, busiest)), sent = 2 * 0.75 * 0.5;
        double own = (2 * weights + router + read) / 10e9;
        Assert.Equal(own, cost.Seconds(1, PassShape.Token), 1e-12);
        // Over a slow link not the busiest rank is waited for, but the other one, to which the row goes with probability 1 − .5².
        double slow = (2 * weights + router + 98304 * 2) / 10e9 + 2e-3 + sent * (128 + 256) / 1e9;
        Assert.Equal(slow, Cost(Small(), 2, new(1e-3, 1e9)).Seconds(1, PassShape.Token), 1e-12);
        // One expert in four is what the mean rank reads: 1.6 of them for the busiest with 0.8 of balancedness is more.
        Assert.True(cost.Seconds(1, PassShape.Token, 0.8) > own);
    }

    [Fact]
    public void Many_rows_are_bound_by_arithmetic()
    {
        const int rows = 10000;
        LinkRates link = new(0, double.PositiveInfinity);
        var cost = Cost(Small(), 4, link, keyValueHeads: 4);
        double operations = 2.0 * rows * (2 * 16384 + 49152 + 2 * 98304 + 64000) / 4 + 2.0 * rows * 512;
        Assert.Equal(operations / 100e9, cost.Seconds(4, new PassShape(rows, 4, rows)), 1e-9);
        // Sequences dealt out evenly: the same but for the router, of which each rank has a quarter of the rows, and what chance piles up.
        double own = operations - 1.5 * rows * 512 + 2.0 * rows * 2 * 98304 / 4 * (Imbalance(4, rows, 1) - 1);
        Assert.Equal(own / 100e9, cost.Seconds(1, new PassShape(rows, 4, rows)), 1e-9);
        // Five sequences on four ranks: one has two of them.
        Assert.True(cost.Seconds(1, new PassShape(rows, 5, rows)) > 1.15 * cost.Seconds(1, new PassShape(rows, 4, rows)));
    }

    [Fact]
    public void Heads_that_do_not_divide_are_computed_by_all_and_need_no_sum()
    {
        LinkRates link = new(1e-3, 1e12);
        double cut = Cost(Small(), 2, link).Seconds(2, PassShape.Token), whole = Cost(Small(), 4, link).Seconds(4, PassShape.Token);
        // Two layers' sum less; a quarter instead of half of the rest is nothing beside a latency.
        Assert.Equal(2e-3, cut - whole, 1e-4);
        double norms = Cost(Small(norm: QueryKeyNorm.FullWidth), 2, link).Seconds(2, PassShape.Token);
        Assert.Equal(2e-3, norms - cut, 1e-6);
    }

    [Theory]
    [InlineData(2, 8, 64, 1)]
    [InlineData(4, 8, 64, 1)]
    [InlineData(8, 8, 64, 4)]
    [InlineData(4, 2, 8, 16)]
    [InlineData(16, 6, 64, 64)]
    [InlineData(2, 8, 128, 512)]
    public void Imbalance_is_what_random_choices_give(int ranks, int topK, int experts, int rows)
    {
        var random = new Random(1);
        double sum = 0;
        const int times = 500;
        for (int i = 0; i < times; i++)
        {
            int[] loads = new int[ranks];
            for (int row = 0; row < rows; row++)
            {
                int[] all = [.. Enumerable.Range(0, experts)];
                random.Shuffle(all);
                foreach (int e in all.AsSpan(0, topK))
                    loads[e * ranks / experts]++;
            }

            sum += loads.Max() / ((double)topK * rows / ranks);
        }

        Assert.Equal(1, PlacementCost.Imbalance(Small(experts, topK).Moe!, ranks, rows, 1) / (sum / times), 0.15);
    }

    [Fact]
    public void Latency_never_favours_slices_and_experts_never_exceed_one_rank()
    {
        foreach (int ranks in new[] { 2, 4, 8 })
        {
            foreach (var pass in new[] { PassShape.Token, new(64, 1, 1), PassShape.Windows(ranks, 512) })
            {
                double last = double.NegativeInfinity;
                for (double latency = 1e-7; latency < 1; latency *= 3)
                {
                    var cost = Cost(Olmoe(), ranks, new(latency, 1e9));
                    double ahead = cost.Seconds(ranks, pass) - cost.Seconds(1, pass);
                    Assert.True(ahead >= last);
                    last = ahead;
                    for (int parts = 1; parts <= ranks; parts *= 2)
                    {
                        double better = Math.Max(Cost(Olmoe(), ranks, new(latency / 3, 1e9)).Seconds(parts, pass), Cost(Olmoe(), ranks, new(latency, 2e9)).Seconds(parts, pass));
                        Assert.True(cost.Seconds(parts, pass) >= better);
                        // What a rank computes meanwhile may hide the messages of a single sequence; sums are always waited for.
                        if (parts == ranks)
                            Assert.True(cost.Seconds(parts, pass) > better);
                    }
                }
            }

            // One row takes all it needs from one rank at worst.
            Assert.True(PlacementCost.Imbalance(Olmoe().Moe!, ranks, 1, 0.01) <= ranks);
        }
    }

    private static double Imbalance(int ranks, int rows, double balancedness) => PlacementCost.Imbalance(Small().Moe!, ranks, rows, balancedness);

    private static PlacementCost Cost(ModelConfig config, int ranks, LinkRates link, int? keyValueHeads = null) => new(
        keyValueHeads is { } heads ? config with { Attention = config.Attention with { KeyValueHeads = heads } } : config,
        WeightFormat.Bf16, ActivationRows.WireBytes(ActivationFormat.Bf16, config.HiddenSize), ranks, s_machine, link);

    private static ModelConfig Olmoe()
    {
        using var folder = RankPlacementTests.Shape("olmoe", 16);
        return ModelConfig.Load(folder.Path);
    }
}
