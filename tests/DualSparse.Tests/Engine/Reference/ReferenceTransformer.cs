using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Engine.Reference;

/// <summary>
/// A forward pass of every family as its formulas stand in the papers, token by token in double precision: no caches, no tiles, nothing shared
/// with the engine but the reading of files and the frequencies of RoPE.
/// </summary>
internal sealed class ReferenceTransformer(Checkpoint checkpoint)
{
    private readonly ModelConfig config = checkpoint.Config;
    private readonly Dictionary<string, double[]> read = [];

    /// <summary>[tokens][vocabulary].</summary>
    public double[][] Logits(int[] ids)
    {
        double[] embedding = Values(config.Tensors.Embedding);
        double[][] x = [.. ids.Select(id => embedding.AsSpan(id * config.HiddenSize, config.HiddenSize).ToArray())];
        for (int l = 0; l < config.Layers; l++)
        {
            var tensors = config.Tensors.Layer(l);
            double[][] normed = [.. x.Select(row => Norm(tensors.InputNorm, row))];
            var attended = Attention(tensors.Attention, normed, config.LayerPlan[l].SlidingWindow ?? int.MaxValue);
            for (int t = 0; t < x.Length; t++)
            {
                Add(x[t], attended[t], 1);
                Add(x[t], Mlp(tensors, Norm(tensors.PostAttentionNorm, x[t])), 1);
            }
        }

        return [.. x.Select(row => Multiply(config.Tensors.Head, Norm(config.Tensors.FinalNorm, row)))];
    }

    private double[][] Attention(AttentionTensors tensors, double[][] x, int window)
    {
        var a = config.Attention;
        var projected = x.Select((row, position) => a.Mla is { } mla ? Latent(tensors, mla, row, position) : Plain(tensors, row, position)).ToArray();
        int group = a.Mla is null ? a.Heads / a.KeyValueHeads : 1;
        return [.. x.Select((_, t) =>
        {
            double[] joined = new double[a.Heads * a.ValueSize];
            for (int h = 0; h < a.Heads; h++)
            {
                int first = Math.Max(0, t - window + 1), from = h / group;
                double[] scores = [.. Enumerable.Range(first, t + 1 - first).Select(j => a.SoftmaxScale * Dot(
                    projected[t].Query.AsSpan(h * a.HeadSize, a.HeadSize), projected[j].Key.AsSpan(from * a.HeadSize, a.HeadSize)))];
                double[] weights = Softmax(scores);
                for (int j = 0; j < weights.Length; j++)
                    Add(joined.AsSpan(h * a.ValueSize, a.ValueSize), projected[first + j].Value.AsSpan(from * a.ValueSize, a.ValueSize), weights[j]);
            }

            return Multiply(tensors.Output, joined, tensors.OutputBias);
        })];
    }

    private (double[] Query, double[] Key, double[] Value) Plain(AttentionTensors tensors, double[] x, int position)
    {
        var a = config.Attention;
        double[] query = Multiply(tensors.Query!, x, tensors.QueryBias), key = Multiply(tensors.Key!, x, tensors.KeyBias), value = Multiply(tensors.Value!, x, tensors.ValueBias);
        if (a.QueryKeyNorm == QueryKeyNorm.FullWidth)
            (query, key) = (Norm(tensors.QueryNorm!, query), Norm(tensors.KeyNorm!, key));
        if (a.ClipQkv is { } most)
            (query, key, value) = (Clip(query, most), Clip(key, most), Clip(value, most));
        foreach (var (heads, norm) in new[] { (query, tensors.QueryNorm), (key, tensors.KeyNorm) })
        {
            for (int at = 0; at < heads.Length; at += a.HeadSize)
            {
                var head = heads.AsSpan(at, a.HeadSize);
                if (a.QueryKeyNorm == QueryKeyNorm.PerHead)
                    Norm(norm!, head).CopyTo(head);
                Turn(head, position);
            }
        }

        return (query, key, value);
    }

    private (double[] Query, double[] Key, double[] Value) Latent(AttentionTensors tensors, MlaConfig mla, double[] x, int position)
    {
        var a = config.Attention;
        double[] query = tensors.QueryDown is { } down
            ? Multiply(tensors.QueryUp!, Norm(tensors.QueryLatentNorm!, Multiply(down, x, tensors.QueryDownBias)))
            : Multiply(tensors.Query!, x);
        double[] latent = Multiply(tensors.LatentDown!, x, tensors.LatentDownBias);
        double[] up = Multiply(tensors.LatentUp!, Norm(tensors.LatentNorm!, latent.AsSpan(0, mla.KvRank)));
        var shared = latent.AsSpan(mla.KvRank);
        Turn(shared, position);
        double[] key = new double[a.Heads * a.HeadSize], value = new double[a.Heads * a.ValueSize];
        for (int h = 0; h < a.Heads; h++)
        {
            var own = up.AsSpan(h * (mla.NopeSize + mla.ValueSize), mla.NopeSize + mla.ValueSize);
            own[..mla.NopeSize].CopyTo(key.AsSpan(h * a.HeadSize));
            shared.CopyTo(key.AsSpan(h * a.HeadSize + mla.NopeSize));
            own[mla.NopeSize..].CopyTo(value.AsSpan(h * a.ValueSize));
            Turn(query.AsSpan(h * a.HeadSize + mla.NopeSize, mla.RopeSize), position);
        }

        return (query, key, value);
    }

    private double[] Mlp(LayerTensors tensors, double[] x)
    {
        if (tensors.Mlp is { } dense)
            return Expert(dense, x);
        var moe = config.Moe!;
        double[] scores = Softmax(Multiply(tensors.Router!, x)), sum = new double[x.Length];
        int groupSize = moe.Experts / moe.Groups;
        var groups = Enumerable.Range(0, moe.Groups).OrderByDescending(g => scores.Skip(g * groupSize).Take(groupSize).Max()).Take(moe.TopKGroups).ToHashSet();
        int[] chosen = [.. Enumerable.Range(0, moe.Experts).Where(e => groups.Contains(e / groupSize)).OrderByDescending(e => scores[e]).Take(moe.TopK)];
        double all = moe.NormTopK ? chosen.Sum(e => scores[e]) : 1;
        foreach (int e in chosen)
            Add(sum, Expert(tensors.Expert(e), x), scores[e] / all * moe.RoutedScale);
        if (tensors.SharedExpert is { } shared)
            Add(sum, Expert(shared, x), tensors.SharedGate is { } gate ? 1 / (1 + Math.Exp(-Multiply(gate, x)[0])) : 1);
        return sum;
    }

    private double[] Expert(MlpTensors tensors, double[] x)
    {
        double[] gate = Multiply(tensors.Gate.Tensor, x), up = Multiply(tensors.Up.Tensor, x);
        return Multiply(tensors.Down.Tensor, [.. gate.Zip(up, (g, u) => g / (1 + Math.Exp(-g)) * u)]);
    }

    private double[] Multiply(TensorSpec matrix, double[] x, TensorSpec? bias = null)
    {
        double[] weights = Values(matrix), y = bias is null ? new double[matrix.Shape[0]] : [.. Values(bias)];
        for (int o = 0; o < y.Length; o++)
            y[o] += Dot(weights.AsSpan(o * x.Length, x.Length), x);
        return y;
    }

    private double[] Norm(TensorSpec weight, ReadOnlySpan<double> x)
    {
        double[] weights = Values(weight), y = new double[x.Length];
        double scale = 1 / Math.Sqrt(Dot(x, x) / x.Length + config.NormEpsilon);
        for (int i = 0; i < y.Length; i++)
            y[i] = weights[i] * x[i] * scale;
        return y;
    }

    private void Turn(Span<double> head, int position)
    {
        var frequencies = config.Rope.InverseFrequencies();
        for (int i = 0; i < frequencies.Length; i++)
        {
            double angle = (float)(position * frequencies[i]), cos = Math.Cos(angle) * config.Rope.AttentionFactor, sin = Math.Sin(angle) * config.Rope.AttentionFactor;
            var (p, q) = config.Rope.Interleaved ? (2 * i, 2 * i + 1) : (i, i + frequencies.Length);
            (head[p], head[q]) = (head[p] * cos - head[q] * sin, head[q] * cos + head[p] * sin);
        }
    }

    private double[] Values(TensorSpec tensor)
    {
        if (!read.TryGetValue(tensor.Name, out double[]? values))
            read[tensor.Name] = values = [.. checkpoint.Get(tensor).ReadFloats().Select(x => (double)x)];
        return values;
    }

    private static double[] Softmax(double[] scores)
    {
        double largest = scores.Max();
        double[] powers = [.. scores.Select(s => Math.Exp(s - largest))];
        double sum = powers.Sum();
        return [.. powers.Select(p => p / sum)];
    }

    private static double[] Clip(double[] values, double most) => [.. values.Select(v => Math.Clamp(v, -most, most))];

    private static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
            sum += a[i] * b[i];
        return sum;
    }

    private static void Add(Span<double> target, ReadOnlySpan<double> source, double times)
    {
        for (int i = 0; i < target.Length; i++)
            target[i] += times * source[i];
    }
}
