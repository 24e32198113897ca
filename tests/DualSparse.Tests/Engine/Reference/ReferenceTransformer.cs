using System.Numerics.Tensors;
using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Engine.Reference;

/// <summary>
/// A forward pass of every family as its formulas stand in the papers, token by token in double precision: no caches, no tiles, nothing shared
/// with the engine but the reading of files, the frequencies of RoPE and, where it is asked to round, the packing of weights.
/// </summary>
/// <param name="checkpoint">The weights.</param>
/// <param name="rounding">What is rounded on the way; the rest is in double precision.</param>
/// <param name="absorbed">Whether latent attention brings queries to the latents, as for generated tokens, or expands these.</param>
internal sealed class ReferenceTransformer(Checkpoint checkpoint, Rounding rounding, bool absorbed = false)
{
    // The softmax's largest score is taken anew each so many positions.
    private const int Block = 128;

    private readonly ModelConfig config = checkpoint.Config;
    private readonly double[] frequencies = [.. checkpoint.Config.Rope.InverseFrequencies().Select(f => (double)f)];
    private readonly Dictionary<string, double[]> read = [];
    private readonly Dictionary<string, double[]> packed = [];
    private readonly SortedSet<string> products = [];

    // Of each token: its time, row and column.
    private (int Time, int Row, int Column)[] places = [];

    /// <summary>The products of the passes so far, by what they make.</summary>
    public IReadOnlyCollection<string> Products => products;

    /// <summary>A product whose results are multiplied with <see cref="Scale"/>, in every layer; null: none.</summary>
    public string? Scaled { get; set; }

    /// <summary>What <see cref="Scaled"/> is multiplied with.</summary>
    public double Scale { get; set; } = 1;

    /// <summary>[tokens][vocabulary], of at most 256 tokens.</summary>
    public double[][] Logits(int[] ids, params ReferencePicture[] pictures)
    {
        places = Places(ids.Length, pictures);
        double[] embedding = Values(config.Tensors.Embedding);
        double[][] x = [.. ids.Select(id => embedding.AsSpan(id * config.HiddenSize, config.HiddenSize).ToArray())];
        foreach (var picture in pictures)
        {
            for (int i = 0; i < picture.Levels[0].Length; i++)
                x[picture.First + i] = [.. picture.Levels[0][i]];
        }

        // What each half layer reads, attention and MLP in turn.
        List<double[][]> inputs = [];
        // The stream that attention reads, where it lacks the experts of the layer before.
        double[][] behind = [.. x.Select(row => row.ToArray())];
        for (int l = 0; l < config.Layers; l++)
        {
            var tensors = config.Tensors.Layer(l);
            if (config.Wiring == Wiring.FarSkip)
            {
                var far = Attention(tensors.Attention, [.. behind.Select(row => Norm(tensors.InputNorm, row))], config.LayerPlan[l].SlidingWindow ?? int.MaxValue);
                for (int t = 0; t < x.Length; t++)
                {
                    double[] n = Norm(tensors.PostAttentionNorm, x[t]);
                    var (now, later) = Mlp(tensors, n, n);
                    Add(x[t], now, 1);
                    Add(x[t], far[t], 1);
                    behind[t] = [.. x[t]];
                    Add(x[t], later, 1);
                }

                continue;
            }

            inputs.Add([.. x.Select(row => Norm(tensors.InputNorm, row))]);
            var attended = Attention(tensors.Attention, inputs[^1], config.LayerPlan[l].SlidingWindow ?? int.MaxValue);
            for (int t = 0; t < x.Length; t++)
                Add(x[t], attended[t], 1);
            inputs.Add([.. x.Select(row => Norm(tensors.PostAttentionNorm, row))]);
            for (int t = 0; t < x.Length; t++)
            {
                var (now, later) = Mlp(tensors, inputs[^1][t], inputs[^(1 + config.LayerPlan[l].Shortcut)][t]);
                Add(now, later, 1);
                Add(x[t], now, 1);
            }

            foreach (var picture in pictures.Where(picture => l + 1 < picture.Levels.Length))
            {
                for (int i = 0; i < picture.Levels[l + 1].Length; i++)
                    Add(x[picture.First + i], picture.Levels[l + 1][i], 1);
            }
        }

        return [.. x.Select(row => Multiply("head", config.Tensors.Head, Norm(config.Tensors.FinalNorm, row)))];
    }

    private double[][] Attention(AttentionTensors tensors, double[][] x, int window)
    {
        var a = config.Attention;
        double[][] attended;
        if (a.Mla is { } mla)
        {
            var projected = x.Select((row, position) => Latent(tensors, mla, row, position)).ToArray();
            attended = absorbed ? Absorbed(tensors.LatentUp!, mla, projected, window) : Expanded(tensors.LatentUp!, mla, projected, window);
        }
        else
        {
            var projected = x.Select((row, position) => Plain(tensors, row, position)).ToArray();
            attended = Attend([.. projected.Select(p => p.Query)], [.. projected.Select(p => p.Key)], [.. projected.Select(p => p.Value)], a.KeyValueHeads, a.HeadSize, a.ValueSize, window);
        }

        return [.. attended.Select(row => Multiply("output", tensors.Output, row, tensors.OutputBias))];
    }

    // Each token's heads side by side.
    private double[][] Attend(double[][] queries, double[][] keys, double[][] values, int keyValueHeads, int keySize, int valueSize, int window)
    {
        int heads = config.Attention.Heads, group = heads / keyValueHeads;
        double scaleOfScores = Product("scores"), scaleOfSums = Product("attended");
        return [.. queries.Select((_, t) =>
        {
            double[] joined = new double[heads * valueSize];
            int first = Math.Max(0, t - window + 1);
            for (int h = 0; h < heads; h++)
            {
                double[] query = rounding.AttentionRow([.. queries[t].AsSpan(h * keySize, keySize).ToArray().Select(q => q * config.Attention.SoftmaxScale)]);
                int from = h / group;
                double[] scores = [.. Enumerable.Range(first, t + 1 - first).Select(j => scaleOfScores * Dot(query, keys[j].AsSpan(from * keySize, keySize)))];
                double[] weights = Weigh(scores, first);
                for (int j = 0; j < weights.Length; j++)
                    Add(joined.AsSpan(h * valueSize, valueSize), values[first + j].AsSpan(from * valueSize, valueSize), scaleOfSums * weights[j]);
            }

            return joined;
        })];
    }

    // Softmax of the scores from a position on; the powers that are rounded are those over the largest score of the blocks so far.
    private double[] Weigh(double[] scores, int first)
    {
        double largest = double.NegativeInfinity, final = scores.Max();
        double[] weights = new double[scores.Length];
        for (int from = 0, end; from < scores.Length; from = end)
        {
            end = Math.Min(scores.Length, ((first + from) / Block + 1) * Block - first);
            double[] block = scores[from..end];
            largest = Math.Max(largest, block.Max());
            double[] powers = rounding.AttentionRow([.. block.Select(s => Math.Exp(s - largest))]);
            for (int j = from; j < end; j++)
                weights[j] = powers[j - from] * Math.Exp(largest - final);
        }

        double sum = scores.Sum(s => Math.Exp(s - final));
        return [.. weights.Select(w => w / sum)];
    }

    private (double[] Query, double[] Key, double[] Value) Plain(AttentionTensors tensors, double[] x, int position)
    {
        var a = config.Attention;
        double[] query = Multiply("query", tensors.Query!, x, tensors.QueryBias);
        double[] key = Multiply("key", tensors.Key!, x, tensors.KeyBias), value = Multiply("value", tensors.Value!, x, tensors.ValueBias);
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

        return (query, rounding.Cached(key), rounding.Cached(value));
    }

    // Each head's query, its positional part turned, and what the cache keeps: the latent and the shared positional part.
    private (double[] Query, double[] Latent) Latent(AttentionTensors tensors, MlaConfig mla, double[] x, int position)
    {
        var a = config.Attention;
        double[] query = tensors.QueryDown is { } down
            ? Multiply("query", tensors.QueryUp!, Norm(tensors.QueryLatentNorm!, Multiply("query down", down, x, tensors.QueryDownBias), mla.LatentNormEpsilon))
            : Multiply("query", tensors.Query!, x);
        for (int h = 0; h < a.Heads; h++)
            Turn(query.AsSpan(h * a.HeadSize + mla.NopeSize, mla.RopeSize), position);
        double[] latent = Multiply("latent down", tensors.LatentDown!, x, tensors.LatentDownBias);
        Norm(tensors.LatentNorm!, latent.AsSpan(0, mla.KvRank), mla.LatentNormEpsilon).CopyTo(latent, 0);
        Turn(latent.AsSpan(mla.KvRank), position);
        return (query, rounding.Cached(latent));
    }

    private double[][] Expanded(TensorSpec latentUp, MlaConfig mla, (double[] Query, double[] Latent)[] tokens, int window)
    {
        var a = config.Attention;
        double[] weights = Packed(latentUp);
        double scaleOfKeys = Product("keys of latents"), scaleOfValues = Product("values of latents");
        var expanded = tokens.Select(token =>
        {
            double[] row = rounding.Row(token.Latent[..mla.KvRank]);
            double[] keys = new double[a.Heads * a.HeadSize], values = new double[a.Heads * a.ValueSize];
            for (int h = 0; h < a.Heads; h++)
            {
                int first = h * (mla.NopeSize + mla.ValueSize);
                for (int i = 0; i < mla.NopeSize; i++)
                    keys[h * a.HeadSize + i] = scaleOfKeys * Dot(weights.AsSpan((first + i) * mla.KvRank, mla.KvRank), row);
                token.Latent.AsSpan(mla.KvRank).CopyTo(keys.AsSpan(h * a.HeadSize + mla.NopeSize));
                for (int i = 0; i < mla.ValueSize; i++)
                    values[h * a.ValueSize + i] = scaleOfValues * Dot(weights.AsSpan((first + mla.NopeSize + i) * mla.KvRank, mla.KvRank), row);
            }

            return (Keys: rounding.Cached(keys), Values: rounding.Cached(values));
        }).ToArray();
        return Attend([.. tokens.Select(t => t.Query)], [.. expanded.Select(e => e.Keys)], [.. expanded.Select(e => e.Values)], a.Heads, a.HeadSize, a.ValueSize, window);
    }

    private double[][] Absorbed(TensorSpec latentUp, MlaConfig mla, (double[] Query, double[] Latent)[] tokens, int window)
    {
        var a = config.Attention;
        int keySize = mla.KvRank + mla.RopeSize, rows = mla.NopeSize + mla.ValueSize;
        double[] weights = Values(latentUp), ups = Packed(latentUp);
        double[][] downs = [.. Enumerable.Range(0, a.Heads).Select(h => rounding.Weights(
            [.. from c in Enumerable.Range(0, mla.KvRank) from i in Enumerable.Range(0, mla.NopeSize) select weights[(h * rows + i) * mla.KvRank + c]], mla.NopeSize))];
        double scaleOfQueries = Product("keys of latents"), scaleOfValues = Product("values of latents");
        var queries = tokens.Select(token =>
        {
            double[] query = new double[a.Heads * keySize];
            for (int h = 0; h < a.Heads; h++)
            {
                var own = token.Query.AsSpan(h * a.HeadSize, a.HeadSize);
                double[] row = rounding.Row(own[..mla.NopeSize].ToArray());
                for (int c = 0; c < mla.KvRank; c++)
                    query[h * keySize + c] = scaleOfQueries * Dot(downs[h].AsSpan(c * mla.NopeSize, mla.NopeSize), row);
                own[mla.NopeSize..].CopyTo(query.AsSpan(h * keySize + mla.KvRank));
            }

            return query;
        });
        double[][] latents = [.. tokens.Select(t => t.Latent)], collected = Attend([.. queries], latents, [.. latents.Select(l => l[..mla.KvRank])], 1, keySize, mla.KvRank, window);
        return [.. collected.Select(all =>
        {
            double[] joined = new double[a.Heads * a.ValueSize];
            for (int h = 0; h < a.Heads; h++)
            {
                double[] row = rounding.Row(all[(h * mla.KvRank)..((h + 1) * mla.KvRank)]);
                for (int i = 0; i < a.ValueSize; i++)
                    joined[h * a.ValueSize + i] = scaleOfValues * Dot(ups.AsSpan((h * rows + mla.NopeSize + i) * mla.KvRank, mla.KvRank), row);
            }

            return joined;
        })];
    }

    // What every token computes, and what its routed experts give.
    private (double[] Now, double[] Later) Mlp(LayerTensors tensors, double[] x, double[] earlier)
    {
        if (tensors.Mlp is { } dense)
            return (Expert("dense", dense, x), new double[x.Length]);
        var (routed, first) = Routed(tensors, earlier, avoid: -1);
        if (config.Moe!.Dual)
            Add(routed, Routed(tensors, x, first).Sum, 1);
        double[] gate = tensors.CombineGate is { } weighs ? Exact("combine gate", weighs, x) : [];
        double[] now = new double[x.Length], later = new double[x.Length];
        double own = gate.Length switch { 0 => 1, 1 => 1 / (1 + Math.Exp(-gate[0])), _ => Softmax(gate)[0] };
        Add(later, routed, gate.Length == 2 ? Softmax(gate)[1] : 1);
        if (tensors.SharedExpert is { } shared)
            Add(now, Expert("shared", shared, x), own);
        return (now, later);
    }

    // The sum of a token's experts, and the best of them.
    private (double[] Sum, int First) Routed(LayerTensors tensors, double[] x, int avoid)
    {
        var moe = config.Moe!;
        double[] scores = Softmax(Exact("router", tensors.Router!, x)), sum = new double[x.Length];
        int groupSize = moe.Experts / moe.Groups;
        var groups = Enumerable.Range(0, moe.Groups).OrderByDescending(g => scores.Skip(g * groupSize).Take(groupSize).Max()).Take(moe.TopKGroups).ToHashSet();
        int[] chosen = [.. Enumerable.Range(0, moe.Experts).Where(e => groups.Contains(e / groupSize) && e != avoid).OrderByDescending(e => scores[e]).Take(moe.TopK)];
        double all = moe.NormTopK ? chosen.Sum(e => scores[e]) : 1;
        foreach (int e in chosen)
            Add(sum, Expert("expert", tensors.Expert(e), x), scores[e] / all * moe.RoutedScale);
        return (sum, chosen[0]);
    }

    private double[] Expert(string kind, MlpTensors tensors, double[] x)
    {
        double[] gate = Multiply($"{kind} gate", tensors.Gate.Tensor, x), up = Multiply($"{kind} up", tensors.Up.Tensor, x);
        return Multiply($"{kind} down", tensors.Down.Tensor, [.. gate.Zip(up, (g, u) => g / (1 + Math.Exp(-g)) * u)], neurons: true);
    }

    // With packed weights.
    private double[] Multiply(string product, TensorSpec matrix, double[] x, TensorSpec? bias = null, bool neurons = false) =>
        Multiply(product, Packed(matrix, neurons), rounding.Row(x), bias);

    // With the checkpoint's own.
    private double[] Exact(string product, TensorSpec matrix, double[] x) => Multiply(product, Values(matrix), x, null);

    private double[] Multiply(string product, double[] weights, double[] x, TensorSpec? bias)
    {
        double scale = Product(product);
        double[] y = bias is null ? new double[weights.Length / x.Length] : [.. Values(bias)];
        for (int o = 0; o < y.Length; o++)
            y[o] += scale * Dot(weights.AsSpan(o * x.Length, x.Length), x);
        return y;
    }

    private double Product(string name)
    {
        products.Add(name);
        return name == Scaled ? Scale : 1;
    }

    private double[] Norm(TensorSpec weight, ReadOnlySpan<double> x, double? epsilon = null)
    {
        double[] weights = Values(weight), y = new double[x.Length];
        double scale = 1 / Math.Sqrt(Dot(x, x) / x.Length + (epsilon ?? config.NormEpsilon));
        for (int i = 0; i < y.Length; i++)
            y[i] = weights[i] * x[i] * scale;
        return y;
    }

    // Text counts on from the largest number so far; a picture's tokens have that of their beginning as their time.
    private static (int Time, int Row, int Column)[] Places(int tokens, ReferencePicture[] pictures)
    {
        List<(int, int, int)> places = [];
        int next = 0;
        while (places.Count < tokens)
        {
            if (pictures.FirstOrDefault(picture => picture.First == places.Count) is not { } picture)
            {
                places.Add((next, next, next));
                next++;
                continue;
            }

            for (int row = 0; row < picture.Rows; row++)
            {
                for (int column = 0; column < picture.Columns; column++)
                    places.Add((next, next + row, next + column));
            }

            next += Math.Max(picture.Rows, picture.Columns);
        }

        return [.. places];
    }

    // The number of the token's place by which a pair turns: R C T R C T … from pair 1 on as far as there are such pairs, T behind.
    private int Along(int token, int pair)
    {
        if (config.Rope.GridSections is not { } sections)
            return places[token].Time;
        int[] rows = [.. Enumerable.Range(0, sections[1]).Select(i => 1 + 3 * i)], columns = [.. Enumerable.Range(0, sections[2]).Select(i => 2 + 3 * i)];
        return rows.Contains(pair) ? places[token].Row : columns.Contains(pair) ? places[token].Column : places[token].Time;
    }

    private void Turn(Span<double> head, int token)
    {
        for (int i = 0; i < frequencies.Length; i++)
        {
            double angle = (float)(Along(token, i) * frequencies[i]), cos = Math.Cos(angle) * config.Rope.AttentionFactor, sin = Math.Sin(angle) * config.Rope.AttentionFactor;
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

    private double[] Packed(TensorSpec matrix, bool neurons = false)
    {
        if (!packed.TryGetValue(matrix.Name, out double[]? values))
            packed[matrix.Name] = values = rounding.Weights(Values(matrix), (int)matrix.Shape[1], neurons);
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

    private static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b) => TensorPrimitives.Dot(a, b);

    private static void Add(Span<double> target, ReadOnlySpan<double> source, double times)
    {
        for (int i = 0; i < target.Length; i++)
            target[i] += times * source[i];
    }
}
