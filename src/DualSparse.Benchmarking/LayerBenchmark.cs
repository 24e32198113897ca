using System.Diagnostics;
using DualSparse.Engine.Moe;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;

namespace DualSparse.Benchmarking;

/// <summary>What one size of batch took.</summary>
/// <param name="Tokens">Tokens.</param>
/// <param name="DropRate">Share of the routed experts' work left out.</param>
/// <param name="Milliseconds">Median over the rounds, one layer.</param>
/// <param name="Gflops">Operations done a second, in 10⁹.</param>
/// <param name="GigabytesPerSecond">Weights read a second, in 10⁹ bytes.</param>
/// <param name="FloorMilliseconds">max(bytes / bandwidth, operations / rate), mean over the layers.</param>
/// <param name="TimesFloor">The time over the floor.</param>
public sealed record LayerResult(
    int Tokens, double DropRate, double Milliseconds, double Gflops, double GigabytesPerSecond, double FloorMilliseconds, double TimesFloor);

/// <summary>One shape's results and the ceilings of the same run.</summary>
/// <param name="Results">For each number of tokens and each drop rate.</param>
/// <param name="ReadGigabytesPerSecond">The best round of reading a gigabyte.</param>
/// <param name="RateGflops">The best round of the strongest instruction.</param>
/// <param name="Kernel">The kernel that multiplied.</param>
public sealed record LayerReport(IReadOnlyList<LayerResult> Results, double ReadGigabytesPerSecond, double RateGflops, string Kernel);

/// <summary>
/// Times the experts of a mixture-of-experts layer: row lists, gather, both products, weighted sum (routing itself is made before). At
/// least a gigabyte of distinct weights is worked through in turn, and ceilings are probed between the rounds by the same threads.
/// </summary>
public static unsafe class LayerBenchmark
{
    private const long WorkingSet = 1L << 30;
    private const float Delta = 0.01f;

    /// <summary>Runs all sizes and rates.</summary>
    /// <param name="shape">The layer.</param>
    /// <param name="weights">How weights are kept.</param>
    /// <param name="tokens">Sizes of batch.</param>
    /// <param name="drops">Drop rates; dense and dropped runs take turns.</param>
    /// <param name="threads">Threads.</param>
    /// <param name="rounds">Rounds, of which medians are taken.</param>
    /// <param name="progress">Told before each size.</param>
    /// <param name="workingSetBytes">Weights to work through in turn, at least.</param>
    public static LayerReport Run(
        LayerShape shape, WeightFormat weights, IReadOnlyList<int> tokens, IReadOnlyList<double> drops, int threads, int rounds, Action<string>? progress = null, long workingSetBytes = WorkingSet)
    {
        using var team = new ThreadTeam(threads);
        using var work = new Workspace(team, KernelSet.Best());
        progress?.Invoke("making weights");
        long layerBytes = (long)Floor.Of(weights, shape, Everything(shape)).Bytes;
        int layers = (int)Math.Max(1, (workingSetBytes + layerBytes - 1) / layerBytes);
        using var owned = new Owner();
        var routed = Enumerable.Range(0, layers).Select(l => owned.Add(RandomExperts.Make(weights, shape.Experts, shape.Hidden, shape.Neurons, l))).ToArray();
        var shared = shape.SharedNeurons == 0 ? null
            : Enumerable.Range(0, layers).Select(l => owned.Add(RandomExperts.Make(weights, 1, shape.Hidden, shape.SharedNeurons, 100 + l))).ToArray();
        var ceilings = owned.Add(new Ceilings(team, weights));
        List<(int Tokens, double Drop, double Seconds, Floor Floor)> timed = [];
        foreach (int count in tokens)
        {
            progress?.Invoke($"{count} tokens");
            // At one token a round is as many tokens as have experts of their own: each expert of each layer is read once.
            int steps = count == 1 ? layers * (shape.Experts / shape.TopK) : layers;
            var plans = Enumerable.Range(0, steps).Select(s => RandomRouting.Make(shape, count, 1000 + s)).ToArray();
            if (count == 1)
                RandomRouting.TakeTurns(shape, plans, layers);
            var everyToken = new ExpertBatch();
            everyToken.SetEveryToken(count);
            var batches = drops.Select(d => Batches(plans, shape.Experts, d)).ToArray();
            var samples = drops.Select(_ => new List<double>()).ToArray();
            float[] input = new float[count * shape.Hidden], output = new float[count * shape.Hidden];
            var random = new Random(7);
            foreach (ref float x in input.AsSpan())
                x = random.NextSingle() * 2 - 1;
            fixed (float* x = input, y = output)
            {
                for (int round = -1; round < rounds; round++)
                {
                    ceilings.Probe();
                    for (int d = 0; d < drops.Count; d++)
                    {
                        long start = Stopwatch.GetTimestamp();
                        for (int step = 0; step < steps; step++)
                        {
                            GroupedGemm.Forward(work, routed[step % layers], batches[d][step], x, count, y);
                            if (shared is not null)
                                GroupedGemm.Forward(work, shared[step % layers], everyToken, x, count, y);
                        }

                        if (round >= 0)
                            samples[d].Add(Stopwatch.GetElapsedTime(start).TotalSeconds / steps);
                    }
                }
            }

            for (int d = 0; d < drops.Count; d++)
            {
                var floors = batches[d].Select(b => Floor.Of(weights, shape, b).WithShared(weights, shape, shared is null ? 0 : count)).ToArray();
                timed.Add((count, Rate(plans, batches[d], shape), Statistics.Median(samples[d]), new Floor(floors.Average(f => f.Bytes), floors.Average(f => f.Operations))));
            }
        }

        var results = timed.Select(t =>
        {
            double floor = t.Floor.Seconds(ceilings.BytesPerSecond, ceilings.OperationsPerSecond);
            return new LayerResult(
                t.Tokens, t.Drop, t.Seconds * 1e3, t.Floor.Operations / t.Seconds / 1e9, t.Floor.Bytes / t.Seconds / 1e9, floor * 1e3, t.Seconds / floor);
        });
        return new LayerReport([.. results], ceilings.BytesPerSecond / 1e9, ceilings.OperationsPerSecond / 1e9, work.Kernels[weights].Name);
    }

    /// <summary>The thresholds on ŝ that leave out the given share of a set of plans' work.</summary>
    internal static DropRule Rule(IEnumerable<RoutingPlan> plans, double rate)
    {
        if (rate <= 0)
            return DropRule.None;
        var scores = new ScoreHistogram();
        foreach (var plan in plans)
            scores.Add(plan);
        return new DropRule { Thresholds = scores.Thresholds(rate, Delta) };
    }

    private static ExpertBatch[] Batches(RoutingPlan[] plans, int experts, double drop)
    {
        var rule = LayerRule.Of(Rule(plans, drop), 0, experts);
        return [.. plans.Select(plan =>
        {
            DropPolicy.Apply(plan, rule);
            var batch = new ExpertBatch();
            RowLists.Build(plan, experts, batch);
            return batch;
        })];
    }

    // Of the neurons of all routed pairs, those left out.
    private static double Rate(RoutingPlan[] plans, ExpertBatch[] batches, LayerShape shape)
    {
        double pairs = plans.Sum(p => (double)p.Experts.Length) * shape.Neurons;
        int major = new NeuronLayout(shape.Neurons).Major;
        return 1 - batches.Sum(b => b.Experts.Sum(r => (double)r.Full * shape.Neurons + (double)(r.Count - r.Full) * major)) / pairs;
    }

    private static ExpertBatch Everything(LayerShape shape)
    {
        var batch = new ExpertBatch();
        batch.Experts.AddRange(Enumerable.Range(0, shape.Experts).Select(e => new ExpertRows(e, e, 1, 1)));
        return batch;
    }

    private sealed class Owner : IDisposable
    {
        private readonly List<IDisposable> things = [];

        public T Add<T>(T thing) where T : IDisposable
        {
            things.Add(thing);
            return thing;
        }

        public void Dispose() => things.ForEach(t => t.Dispose());
    }
}
