using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels.Packing;

namespace DualSparse.Evaluation.Sweep;

/// <summary>
/// The routing of a text by a model without a drop: every token-expert pair with its scores. Applied to it, a rule gives the drop rate that
/// it would have if dropping didn't change the inputs of later layers: close to the real one, and known without running the model.
/// </summary>
internal sealed class GatingPlans
{
    private readonly List<RoutingPlan>[] layers;
    private readonly NeuronLayout neurons;
    private readonly int experts;
    private readonly Dictionary<DropScore, ScoreHistogram[]> scores = [];

    private GatingPlans(Transformer model)
    {
        layers = [.. model.Layers.Select(_ => new List<RoutingPlan>())];
        neurons = new NeuronLayout(model.Config.Moe?.Intermediate ?? 0);
        experts = model.Config.Moe?.Experts ?? 0;
    }

    /// <summary>Runs a text.</summary>
    /// <param name="model">The model.</param>
    /// <param name="text">The windows, each in an empty cache.</param>
    /// <param name="cancellation">Checked between windows.</param>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static GatingPlans Of(Transformer model, TextWindows text, CancellationToken cancellation = default)
    {
        var plans = new GatingPlans(model);
        var watch = new PassWatch { Routed = (layer, routing) => plans.layers[layer].Add(Copy(routing, [])) };
        foreach (int[] ids in text.Inputs)
        {
            cancellation.ThrowIfCancellationRequested();
            using var cache = model.NewCache(ids.Length);
            model.Forward(cache, ids, LogitRows.None, watch: watch);
        }

        return plans;
    }

    /// <summary>The drop rate of a rule of thresholds over all layers.</summary>
    public double Rate(DropRequest rule)
    {
        double pairs = 0, dropped = 0;
        for (int l = 0; l < layers.Length; l++)
        {
            double own = layers[l].Sum(p => (double)p.Experts.Length);
            dropped += LayerRate(rule, l) * own;
            pairs += own;
        }

        return pairs == 0 ? 0 : dropped / pairs;
    }

    /// <summary>The drop rate in each layer; 0 where nothing is routed.</summary>
    public double[] LayerRates(DropRequest rule) => [.. Enumerable.Range(0, layers.Length).Select(l => LayerRate(rule, l))];

    /// <summary>By layer, the histogram of scores.</summary>
    /// <param name="score">A score between 0 and 1.</param>
    /// <param name="norms">By layer, n_e, for <see cref="DropScore.Contribution"/>; the same at every call.</param>
    public IReadOnlyList<ScoreHistogram> Scores(DropScore score, IReadOnlyList<IReadOnlyList<float>?>? norms)
    {
        if (scores.TryGetValue(score, out var known))
            return known;
        return scores[score] = [.. layers.Select((plans, l) =>
        {
            var histogram = new ScoreHistogram();
            float[] own = [.. norms?[l] ?? []];
            foreach (var plan in plans)
                histogram.Add(Copy(plan, own, score));
            return histogram;
        })];
    }

    private double LayerRate(DropRequest rule, int layer)
    {
        if (layers[layer].Count == 0 || LayerRule.Of(rule, layer, experts) is not { } own)
            return 0;
        var (all, minor) = (neurons.Neurons, neurons.Neurons - neurons.Major);
        long dropped = 0, total = 0;
        Parallel.ForEach(layers[layer], plan =>
        {
            DropPolicy.Apply(plan, own);
            long neuronsDropped = 0;
            foreach (var computation in plan.Computations)
                neuronsDropped += computation switch { Computation.Drop => all, Computation.Major => minor, _ => 0 };
            Interlocked.Add(ref dropped, neuronsDropped);
            Interlocked.Add(ref total, (long)plan.Experts.Length * all);
        });
        return (double)dropped / total;
    }

    private static RoutingPlan Copy(RoutingPlan plan, ReadOnlySpan<float> norms, DropScore score = DropScore.Gate)
    {
        var copy = new RoutingPlan();
        copy.Reset(plan.Tokens, plan.TopK);
        plan.Experts.CopyTo(copy.Experts);
        plan.Weights.CopyTo(copy.Weights);
        for (int i = 0; i < plan.Experts.Length; i += plan.TopK)
        {
            DropScores.Of(score, plan.Experts.Slice(i, plan.TopK), plan.Weights.Slice(i, plan.TopK), plan.Scores.Slice(i, plan.TopK), norms, copy.Scores.Slice(i, plan.TopK));
        }

        return copy;
    }
}
