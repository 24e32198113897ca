using DualSparse.Models;
using DualSparse.Tests.Engine.Reference;
using DualSparse.Training;

namespace DualSparse.Tests.Training;

/// <summary>The loss of a batch as its formulas stand in the papers, token by token in double precision: slow, and nothing shared with training.</summary>
/// <param name="config">The model: grouped-query attention over whole windows.</param>
/// <param name="values">The tensors by name; whoever changes them asks anew.</param>
internal sealed class ReferenceLoss(ModelConfig config, IReadOnlyDictionary<string, double[]> values)
{
    private (int Time, int Row, int Column)[] places = [];

    private readonly double[] frequencies = [.. Enumerable.Range(0, config.Rope.Size / 2).Select(i => Math.Pow(config.Rope.Theta, -2.0 * i / config.Rope.Size))];

    // Of the batch so far, a list for each MoE layer, and for its second routing: each token's probabilities, what it chose, and log Σ e^logit.
    private readonly List<(double[] Probabilities, int[] Chosen, double LogSum)>[] routed = [.. config.LayerPlan.Concat(config.LayerPlan).Select(_ => new List<(double[], int[], double)>())];

    /// <summary>Cross-entropy and what is added to it.</summary>
    public double Of(WindowBatch batch, LossCoefficients coefficients)
    {
        foreach (var layer in routed)
            layer.Clear();
        double sum = 0;
        foreach (var (first, count) in batch.Texts)
        {
            var pictures = batch.Pictures.Where(picture => picture.First >= first && picture.First < first + count).Select(picture => Tower().Encode(picture.Patches, picture.First - first));
            double[][] logits = Logits(batch.Inputs.AsSpan(first, count), [.. pictures]);
            for (int t = 0; t < count; t++)
            {
                if (batch.Targets[first + t] is var target and >= 0)
                    sum += LogSumExp(logits[t]) - logits[t][target];
            }
        }

        var layers = routed.Where(layer => layer.Count > 0).ToArray();
        double z = layers.Average(layer => layer.Average(token => token.LogSum * token.LogSum));
        return sum / batch.Targets.Count(target => target >= 0) + coefficients.Balance * Balance(layers) + coefficients.RouterZ * z;
    }

    private double Balance(List<(double[] Probabilities, int[] Chosen, double LogSum)>[] layers) => config.Moe!.BalancesEachLayer
        ? layers.Average(layer => Balance(layer, pairsOfAToken: config.Moe.TopK))
        : Balance([.. layers.SelectMany(layer => layer)], pairsOfAToken: 1);

    // E · Σ f·p̄, f the pairs over tokens · pairsOfAToken.
    private double Balance(List<(double[] Probabilities, int[] Chosen, double LogSum)> tokens, int pairsOfAToken) =>
        config.Moe!.Experts * Enumerable.Range(0, config.Moe.Experts).Sum(e =>
            (double)tokens.Count(token => token.Chosen.Contains(e)) / (tokens.Count * pairsOfAToken) * tokens.Average(token => token.Probabilities[e]));

    private ReferenceTower Tower() => new(config, tensor => values[tensor.Name]);

    private double[][] Logits(ReadOnlySpan<int> ids, ReferencePicture[] pictures)
    {
        double[] embedding = values[config.Tensors.Embedding.Name];
        var x = new double[ids.Length][];
        for (int t = 0; t < x.Length; t++)
            x[t] = embedding.AsSpan(ids[t] * config.HiddenSize, config.HiddenSize).ToArray();
        foreach (var picture in pictures)
            picture.Levels[0].CopyTo(x, picture.First);
        places = Places(ids.Length, pictures);
        // What each half layer reads, attention and MLP in turn.
        List<double[][]> inputs = [];
        // The stream that attention reads, where it lacks the experts of the layer before.
        double[][] behind = x;
        for (int l = 0; l < config.Layers; l++)
        {
            var layer = config.Tensors.Layer(l);
            if (config.Wiring == Wiring.FarSkip)
            {
                double[][] far = Attention(layer.Attention, [.. behind.Select(row => Norm(row, layer.InputNorm))]);
                var parts = x.Select(row => Norm(row, layer.PostAttentionNorm)).Select(n => layer.Mlp is { } mlp ? (Expert(mlp, n), new double[n.Length]) : Parts(l, layer, n, n)).ToArray();
                behind = [.. x.Select((row, t) => Sum(Sum(row, parts[t].Item1, 1), far[t], 1))];
                x = [.. behind.Select((row, t) => Sum(row, parts[t].Item2, 1))];
                continue;
            }

            inputs.Add([.. x.Select(row => Norm(row, layer.InputNorm))]);
            double[][] attended = Attention(layer.Attention, inputs[^1]);
            x = [.. x.Zip(attended, (row, more) => Sum(row, more, 1))];
            inputs.Add([.. x.Select(row => Norm(row, layer.PostAttentionNorm))]);
            double[][] now = inputs[^1], earlier = inputs[^(1 + config.LayerPlan[l].Shortcut)];
            x = [.. x.Select((row, t) => Sum(row, layer.Mlp is { } dense ? Expert(dense, now[t]) : Experts(l, layer, now[t], earlier[t]), 1))];
            foreach (var picture in pictures.Where(picture => l + 1 < picture.Levels.Length))
            {
                for (int t = 0; t < picture.Levels[0].Length; t++)
                    x[picture.First + t] = Sum(x[picture.First + t], picture.Levels[l + 1][t], 1);
            }
        }

        return [.. x.Select(row => Multiply(config.Tensors.Head, null, Norm(row, config.Tensors.FinalNorm)))];
    }

    // Time, row and column of each token.
    private static (int, int, int)[] Places(int tokens, ReferencePicture[] pictures)
    {
        var found = new (int, int, int)[tokens];
        int at = 0;
        for (int t = 0; t < tokens; t++)
        {
            if (Array.Find(pictures, picture => picture.First == t) is not { } picture)
            {
                found[t] = (at, at, at);
                at++;
                continue;
            }

            for (int i = 0; i < picture.Rows * picture.Columns; i++)
                found[t + i] = (at, at + i / picture.Columns, at + i % picture.Columns);
            at += Math.Max(picture.Rows, picture.Columns);
            t += picture.Rows * picture.Columns - 1;
        }

        return found;
    }

    private double[][] Attention(AttentionTensors tensors, double[][] x)
    {
        var a = config.Attention;
        double[][] queries = [.. x.Select((row, t) => Heads(Multiply(tensors.Query!, tensors.QueryBias, row), tensors.QueryNorm, t))];
        double[][] keys = [.. x.Select((row, t) => Heads(Multiply(tensors.Key!, tensors.KeyBias, row), tensors.KeyNorm, t))];
        double[][] vs = [.. x.Select(row => Multiply(tensors.Value!, tensors.ValueBias, row))];
        return [.. x.Select((_, t) =>
        {
            var joined = new double[a.Heads * a.HeadSize];
            for (int h = 0; h < a.Heads; h++)
            {
                int mine = h * a.HeadSize, shared = h / (a.Heads / a.KeyValueHeads) * a.HeadSize;
                double[] weights = Softmax([.. Enumerable.Range(0, t + 1).Select(j =>
                    Enumerable.Range(0, a.HeadSize).Sum(i => queries[t][mine + i] * keys[j][shared + i]) / Math.Sqrt(a.HeadSize))]);
                for (int i = 0; i < a.HeadSize; i++)
                    joined[mine + i] = Enumerable.Range(0, t + 1).Sum(j => weights[j] * vs[j][shared + i]);
            }

            return Multiply(tensors.Output, tensors.OutputBias, joined);
        })];
    }

    // Normalised and turned to their position.
    private double[] Heads(double[] row, TensorSpec? norm, int position)
    {
        int size = config.Attention.HeadSize;
        if (config.Attention.QueryKeyNorm == QueryKeyNorm.FullWidth)
            row = Norm(row, norm!);
        return [.. row.Chunk(size).SelectMany(head =>
        {
            double[] from = config.Attention.QueryKeyNorm == QueryKeyNorm.PerHead ? Norm(head, norm!) : head, to = [.. from];
            for (int i = 0; i < size / 2; i++)
            {
                var (sin, cos) = Math.SinCos(On(position, i) * frequencies[i]);
                (to[i], to[i + size / 2]) = (from[i] * cos - from[i + size / 2] * sin, from[i + size / 2] * cos + from[i] * sin);
            }

            return to;
        })];
    }

    // What a pair turns by: where there are sections, every third pair by rows, the ones behind by columns.
    private int On(int token, int pair)
    {
        var (time, row, column) = places[token];
        if (config.Rope.GridSections is not { } sections)
            return time;
        return (pair % 3, pair / 3) switch
        {
            (1, var n) when n < sections[1] => row,
            (2, var n) when n < sections[2] => column,
            _ => time,
        };
    }

    private double[] Experts(int l, LayerTensors layer, double[] x, double[] earlier) => Parts(l, layer, x, earlier) is var (now, later) ? Sum(now, later, 1) : [];

    // What every token computes, and what its routed experts give.
    private (double[] Now, double[] Later) Parts(int l, LayerTensors layer, double[] x, double[] earlier)
    {
        var (sum, first) = Routed(l, layer, earlier, avoid: -1);
        if (config.Moe!.Dual)
            sum = Sum(sum, Routed(config.Layers + l, layer, x, first).Sum, 1);
        if (layer.SharedExpert is not { } shared)
            return (new double[x.Length], sum);
        double[] gate = layer.CombineGate is { } weighs ? Multiply(weighs, null, x) : [], own = Expert(shared, x);
        var (weight, rest) = gate.Length switch { 2 => (Softmax(gate)[0], Softmax(gate)[1]), 1 => (1 / (1 + Math.Exp(-gate[0])), 1), _ => (1, 1) };
        return (Sum(new double[x.Length], own, weight), Sum(new double[x.Length], sum, rest));
    }

    private (double[] Sum, int First) Routed(int list, LayerTensors layer, double[] x, int avoid)
    {
        var moe = config.Moe!;
        double[] logits = Multiply(layer.Router!, null, x), probabilities = Softmax(logits), sum = new double[x.Length];
        int[] chosen = [.. Enumerable.Range(0, moe.Experts).Where(e => e != avoid).OrderByDescending(e => probabilities[e]).Take(moe.TopK)];
        routed[list].Add((probabilities, chosen, LogSumExp(logits)));
        double all = moe.NormTopK ? chosen.Sum(e => probabilities[e]) : 1;
        foreach (int e in chosen)
            sum = Sum(sum, Expert(layer.Expert(e), x), probabilities[e] / all);
        return (sum, chosen[0]);
    }

    private double[] Expert(MlpTensors mlp, double[] x)
    {
        double[] gate = Multiply(mlp.Gate.Tensor, null, x), up = Multiply(mlp.Up.Tensor, null, x);
        return Multiply(mlp.Down.Tensor, null, [.. gate.Zip(up, (g, u) => g / (1 + Math.Exp(-g)) * u)]);
    }

    private double[] Multiply(TensorSpec matrix, TensorSpec? bias, double[] x)
    {
        double[] w = values[matrix.Name], y = bias is null ? new double[matrix.Shape[0]] : [.. values[bias.Name]];
        for (int r = 0; r < y.Length; r++)
        {
            for (int c = 0; c < x.Length; c++)
                y[r] += w[r * x.Length + c] * x[c];
        }

        return y;
    }

    private double[] Norm(double[] x, TensorSpec weight)
    {
        double scale = 1 / Math.Sqrt(x.Sum(v => v * v) / x.Length + config.NormEpsilon);
        return [.. x.Zip(values[weight.Name], (v, w) => v * scale * w)];
    }

    private static double[] Sum(double[] a, double[] b, double times) => [.. a.Zip(b, (p, q) => p + times * q)];

    private static double LogSumExp(double[] x) => x.Max() is var most ? most + Math.Log(x.Sum(v => Math.Exp(v - most))) : 0;

    private static double[] Softmax(double[] x) => LogSumExp(x) is var sum ? [.. x.Select(v => Math.Exp(v - sum))] : [];
}
