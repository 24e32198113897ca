using System.Diagnostics;
using DualSparse.Engine.Moe;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Threading;

namespace DualSparse.Benchmarking;

/// <summary>
/// Times a mixture-of-experts layer behind its router's product: drop decisions, row lists, gather, both products, weighted sum. At least a
/// gigabyte of distinct weights is worked through in turn, and ceilings are probed between the rounds by the same threads.
/// </summary>
public static unsafe class LayerBenchmark
{
    private const long WorkingSet = 1L << 30;
    private const float Delta = 0.01f;

    /// <summary>Runs all sizes and rates.</summary>
    /// <param name="shape">The layer.</param>
    /// <param name="weights">How weights are kept.</param>
    /// <param name="tokens">Sizes of batch.</param>
    /// <param name="drops">Drop rates; they take turns within a round, and each is set against the first of its round.</param>
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
        List<LayerResult> results = [];
        var (everyToken, batch) = (new ExpertBatch(), new ExpertBatch());
        foreach (int count in tokens)
        {
            progress?.Invoke($"{count} tokens");
            // At one token a round is as many tokens as have experts of their own: each expert of each layer is read once.
            int steps = count == 1 ? layers * (shape.Experts / shape.TopK) : layers;
            var plans = Enumerable.Range(0, steps).Select(s => RandomRouting.Make(shape, count, 1000 + s)).ToArray();
            if (count == 1)
                RandomRouting.TakeTurns(shape, plans, layers);
            everyToken.SetEveryToken(count);
            var variants = drops.Select(d => new LayerVariant(shape, weights, plans, Rule(plans, d), shared is not null)).ToArray();
            List<Ceiling> probes = [];
            float[] input = new float[count * shape.Hidden], output = new float[count * shape.Hidden];
            var random = new Random(7);
            foreach (ref float x in input.AsSpan())
                x = random.NextSingle() * 2 - 1;
            fixed (float* x = input, y = output)
            {
                // The first round warms up: pages, caches, code.
                for (int round = -1; round < rounds; round++)
                {
                    probes.Add(ceilings.Probe());
                    foreach (var variant in variants)
                    {
                        long start = Stopwatch.GetTimestamp();
                        for (int step = 0; step < steps; step++)
                        {
                            DropPolicy.Apply(plans[step], variant.Rule);
                            RowLists.Build(plans[step], shape.Experts, batch);
                            GroupedGemm.Forward(work, routed[step % layers], batch, x, count, y);
                            if (shared is not null)
                                GroupedGemm.Forward(work, shared[step % layers], everyToken, x, count, y);
                        }

                        if (round >= 0)
                            variant.Seconds.Add(Stopwatch.GetElapsedTime(start).TotalSeconds / steps);
                    }
                }

                probes.Add(ceilings.Probe());
            }

            results.AddRange(variants.Select(v => LayerResult.Of(count, v, variants[0], probes)));
        }

        return new LayerReport(results, ceilings.Best.BytesPerSecond / 1e9, ceilings.Best.OperationsPerSecond / 1e9, work.Kernels[weights].Name);
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
