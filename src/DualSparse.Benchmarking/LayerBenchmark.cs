using System.Diagnostics;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Threading;
using DualSparse.Models;

namespace DualSparse.Benchmarking;

/// <summary>
/// Times a <see cref="MoeLayer"/> after its router: drop decisions, row lists, dispatch, both products, weighted sum; and the router by
/// itself. Layers with at least a gigabyte of distinct weights run one after another, and the same threads probe ceilings between the
/// rounds.
/// </summary>
internal static unsafe class LayerBenchmark
{
    private const long WorkingSet = 1L << 30;
    private const float Delta = 0.01f;

    /// <summary>Runs all sizes and rates.</summary>
    /// <param name="shape">The layer.</param>
    /// <param name="weights">The format of the weights.</param>
    /// <param name="tokens">Batch sizes, in tokens.</param>
    /// <param name="drops">Drop rates; all run in each round, and each is compared with the first of its round.</param>
    /// <param name="threads">Threads.</param>
    /// <param name="rounds">The number of rounds; results are medians.</param>
    /// <param name="progress">Called before each batch size.</param>
    /// <param name="workingSetBytes">The least bytes of distinct weights.</param>
    public static LayerReport Run(
        LayerShape shape, WeightFormat weights, IReadOnlyList<int> tokens, IReadOnlyList<double> drops, int threads, int rounds, Action<string>? progress = null, long workingSetBytes = WorkingSet)
    {
        using var team = new ThreadTeam(threads);
        using var work = new Workspace(team, KernelSet.Best());
        progress?.Invoke("making weights");
        long layerBytes = (long)Roofline.Of(weights, shape, Everything(shape)).Bytes;
        int layers = (int)Math.Max(1, (workingSetBytes + layerBytes - 1) / layerBytes);
        using var owned = new Owner();
        var routers = Enumerable.Range(0, layers).Select(l => owned.Add(new Router(Config(shape), RandomExperts.Linear(shape.Experts, shape.Hidden)))).ToArray();
        var moe = Enumerable.Range(0, layers).Select(l => owned.Add(new MoeLayer(
            routers[l], RandomExperts.Make(weights, shape.Experts, shape.Hidden, shape.Neurons, l),
            shape.SharedNeurons == 0 ? null : new DenseMlp([RandomExperts.Make(weights, 1, shape.Hidden, shape.SharedNeurons, 100 + l)])))).ToArray();
        using var pass = new Pass(layers: 1, shape.Hidden, epsilon: 1e-5f, work);
        var ceilings = owned.Add(new Ceilings(team, weights));
        List<LayerResult> results = [];
        foreach (int count in tokens)
        {
            progress?.Invoke(count == 1 ? "1 token" : $"{count} tokens");
            // At one token a round has as many tokens as there are distinct experts for: each expert of each layer is read once.
            int steps = count == 1 ? layers * (shape.Experts / shape.TopK) : layers;
            var plans = Enumerable.Range(0, steps).Select(s => RandomRouting.Make(shape, count, 1000 + s)).ToArray();
            if (count == 1)
                RandomRouting.AssignDistinctExperts(shape, plans, layers);
            var variants = drops.Select(d => new LayerVariant(shape, weights, plans, Request(plans, d), shape.SharedNeurons > 0)).ToArray();
            List<Ceiling> probes = [];
            List<double> routing = [];
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
                            Forward(moe[step % layers], shape, pass, variant.Text, plans[step], x, y);
                        if (round >= 0)
                            variant.Seconds.Add(Stopwatch.GetElapsedTime(start).TotalSeconds / steps);
                    }

                    double seconds = Route(routers, shape, pass, count, steps, x);
                    if (round >= 0)
                        routing.Add(seconds);
                }

                probes.Add(ceilings.Probe());
            }

            results.AddRange(variants.Select(v => LayerResult.Of(count, v, variants[0], probes, Statistics.Median(routing))));
        }

        return new LayerReport(results, ceilings.Best.BytesPerSecond / 1e9, ceilings.Best.OperationsPerSecond / 1e9, work.Kernels[weights].Name);
    }

    /// <summary>The thresholds on ŝ that drop the given share of the work of plans.</summary>
    internal static DropRequest Request(IEnumerable<RoutingPlan> plans, double rate)
    {
        if (rate <= 0)
            return DropRequest.None;
        var scores = new ScoreHistogram();
        foreach (var plan in plans)
            scores.Add(plan);
        return new DropRequest { Thresholds = scores.Thresholds(rate, Delta) };
    }

    // The layer after its routing: decide, lists, dispatch, experts, shared experts, combine.
    private static void Forward(MoeLayer moe, LayerShape shape, Pass pass, TextDrop text, RoutingPlan plan, float* x, float* y)
    {
        // No attention is computed, so there is no cache.
        pass.Begin([new Segment(null!, 0, plan.Tokens, Drop: text)], watch: null);
        var ticket = pass.Tickets.Open(0);
        ticket.Routing.CopyFrom(plan);
        moe.Dispatch(pass, 0, ticket, x);
        moe.Compute(pass, 0);
        if (shape.SharedNeurons > 0)
            moe.Shared(pass, x, y);
        moe.End(pass, 0, y);
    }

    // Seconds of a router for the same rows.
    private static double Route(Router[] routers, LayerShape shape, Pass pass, int count, int steps, float* x)
    {
        var plan = new RoutingPlan();
        float* logits = pass.Memory.RouterLogits.Floats((nint)count * shape.Experts);
        long start = Stopwatch.GetTimestamp();
        for (int step = 0; step < steps; step++)
            routers[step % routers.Length].Route(pass.Work, x, count, logits, plan);
        return Stopwatch.GetElapsedTime(start).TotalSeconds / steps;
    }

    private static MoeConfig Config(LayerShape shape) => new() { Experts = shape.Experts, TopK = shape.TopK, Intermediate = shape.Neurons, NormTopK = true };

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
