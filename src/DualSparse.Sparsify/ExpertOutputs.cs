using System.Numerics.Tensors;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Packing;
using DualSparse.Models.Safetensors;

namespace DualSparse.Sparsify;

/// <summary>
/// The outputs of a layer's experts for the pairs that are dropped first, those of the lower half of a token's choice: their mean, for mean
/// compensation, and their deviation from it, which is the error of a drop.
/// </summary>
internal sealed class ExpertOutputs
{
    // Outputs per expert from which the deviation is computed: enough for two digits.
    private const int Samples = 256;

    // Fewer pairs give no useful mean.
    private const int FewestPairs = 8;

    private readonly int experts;
    private readonly int neurons;
    private readonly double[][] sums;
    private readonly long[] counts;
    private readonly List<float[]>[] samples;
    private readonly List<(int Expert, float Weight, bool Best)> pairs = [];

    public ExpertOutputs(int experts, int neurons)
    {
        (this.experts, this.neurons) = (experts, neurons);
        sums = [.. Enumerable.Range(0, experts).Select(_ => new double[neurons])];
        samples = [.. Enumerable.Range(0, experts).Select(_ => new List<float[]>())];
        counts = new long[experts];
    }

    /// <summary>An observer of the neurons of a layer's rows.</summary>
    public NeuronObserver Observer(RoutingPlan routing) => (token, expert, gate, up) =>
    {
        int topK = routing.TopK, rank = routing.Experts.Slice(token * topK, topK).IndexOf(expert);
        pairs.Add((expert, routing.Weights[token * topK + rank], rank == 0));
        if (rank < topK / 2)
            return;
        float[] hidden = new float[neurons];
        SwiGlu.Forward(gate, up, hidden);
        for (int n = 0; n < neurons; n++)
            sums[expert][n] += hidden[n];
        // Every seventh replaces an earlier one, so that the samples come from all of the text.
        if (samples[expert].Count < Samples)
            samples[expert].Add(hidden);
        else if (counts[expert] % 7 == 0)
            samples[expert][(int)(counts[expert] / 7 % Samples)] = hidden;
        counts[expert]++;
    };

    /// <summary>
    /// The means; the deviations divided by their mean; the mean norms of outputs; and every pair's score, its weight times its expert's
    /// deviation.
    /// </summary>
    public (Compensation Means, float[] Scales, float[] Norms, LayerScores Scores) Finish(Checkpoint checkpoint, int layer)
    {
        int hidden = checkpoint.Config.HiddenSize;
        float[] whole = new float[experts * hidden], minor = new float[experts * hidden], scales = new float[experts], norms = new float[experts];
        Parallel.For(0, experts, e => (scales[e], norms[e]) = Expert(checkpoint, layer, e, whole.AsSpan(e * hidden, hidden), minor.AsSpan(e * hidden, hidden)));
        float mean = scales.Where(s => s > 0).DefaultIfEmpty(1).Average(), norm = norms.Where(n => n > 0).DefaultIfEmpty(1).Average();
        for (int e = 0; e < experts; e++)
            (scales[e], norms[e]) = (scales[e] > 0 ? scales[e] / mean : 1, norms[e] > 0 ? norms[e] : norm);
        return (new Compensation(hidden, whole, minor), scales, norms, new LayerScores(pairs.Select(p => (p.Weight * scales[p.Expert], p.Best))));
    }

    private (float Deviation, float Norm) Expert(Checkpoint checkpoint, int layer, int expert, Span<float> whole, Span<float> minor)
    {
        if (counts[expert] < FewestPairs)
            return default;
        using var matrix = checkpoint.Get(checkpoint.Config.Tensors.Layer(layer).Expert(expert).Down);
        float[] down = matrix.ReadFloats();
        float[] mean = [.. sums[expert].Select(s => (float)(s / counts[expert]))];
        int major = new NeuronLayout(neurons).Major;
        for (int d = 0; d < whole.Length; d++)
        {
            var row = down.AsSpan(d * neurons, neurons);
            minor[d] = TensorPrimitives.Dot<float>(row[major..], mean.AsSpan(major));
            whole[d] = minor[d] + TensorPrimitives.Dot<float>(row[..major], mean.AsSpan(0, major));
        }

        double squares = 0, norms = 0;
        foreach (float[] sample in samples[expert])
        {
            TensorPrimitives.Subtract(sample, mean, sample);
            double own = 0;
            for (int d = 0; d < whole.Length; d++)
            {
                float output = TensorPrimitives.Dot<float>(down.AsSpan(d * neurons, neurons), sample);
                squares += output * output;
                own += (output + whole[d]) * (output + whole[d]);
            }

            norms += Math.Sqrt(own);
        }

        return ((float)Math.Sqrt(squares / samples[expert].Count), (float)(norms / samples[expert].Count));
    }
}
