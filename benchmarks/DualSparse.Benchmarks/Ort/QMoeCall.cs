using System.Numerics.Tensors;
using DualSparse.Benchmarking;
using DualSparse.Kernels.Gemm;
using Microsoft.ML.OnnxRuntime;

namespace DualSparse.Benchmarks.Ort;

/// <summary>One batch size: rows, and router logits for each step of a round, the same for both sides. Each step uses the next layer.</summary>
internal sealed class QMoeCall : IDisposable
{
    // The standard deviation of router logits: the best of 8 experts then has a weight near 0.4.
    private const double Spread = 2;

    private readonly int tokens;
    private readonly float[] x;
    private readonly float[] ours;
    private readonly float[] theirs;
    private readonly float[][] logits;
    private readonly OrtValue xValue;
    private readonly OrtValue theirsValue;
    private readonly OrtValue[] logitsValues;

    public QMoeCall(LayerShape shape, int tokens, int steps)
    {
        this.tokens = tokens;
        var random = new Random(tokens);
        x = [.. Enumerable.Range(0, tokens * shape.Hidden).Select(_ => 2 * random.NextSingle() - 1)];
        ours = new float[x.Length];
        theirs = new float[x.Length];
        logits = [.. Enumerable.Range(0, steps).Select(_ =>
            Enumerable.Range(0, tokens * shape.Experts).Select(_ => (float)(Spread * Normal(random))).ToArray())];
        xValue = OrtValue.CreateTensorValueFromMemory(x, [tokens, shape.Hidden]);
        theirsValue = OrtValue.CreateTensorValueFromMemory(theirs, [tokens, shape.Hidden]);
        logitsValues = [.. logits.Select(l => OrtValue.CreateTensorValueFromMemory(l, [tokens, shape.Experts]))];
    }

    /// <summary>Calls of the layer in a round.</summary>
    public int Steps => logits.Length;

    public void Ours(Workspace work, IReadOnlyList<LayerPair> pairs)
    {
        for (int step = 0; step < Steps; step++)
            pairs[step % pairs.Count].Ours(work, logits[step], x, ours, tokens);
    }

    public void Theirs(IReadOnlyList<LayerPair> pairs)
    {
        for (int step = 0; step < Steps; step++)
            pairs[step % pairs.Count].Theirs(logitsValues[step], xValue, theirsValue);
    }

    /// <summary>‖ours − theirs‖ / ‖theirs‖ of the last step's layer.</summary>
    public double Difference(Workspace work, IReadOnlyList<LayerPair> pairs)
    {
        Ours(work, pairs);
        Theirs(pairs);
        return TensorPrimitives.Distance<float>(ours, theirs) / TensorPrimitives.Norm<float>(theirs);
    }

    public void Dispose()
    {
        xValue.Dispose();
        theirsValue.Dispose();
        foreach (var value in logitsValues)
            value.Dispose();
    }

    private static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
