using System.Numerics;
using System.Numerics.Tensors;
using DualSparse.Kernels.Ops;

namespace DualSparse.Sparsify;

/// <summary>
/// The importance of the neurons of one layer's routed experts, summed over the tokens routed to each expert, by four metrics at once
/// (arXiv 2508.18376, §4.1): 1 Σ SiLU(xW1), 2 Σ |SiLU(xW1)|, 3 Σ SiLU(xW1)·xW3, 4 Σ |SiLU(xW1)·xW3|.
/// </summary>
internal sealed class NeuronImportance
{
    /// <summary>The number of metrics; they are counted from 1.</summary>
    public const int Metrics = 4;

    private readonly int neurons;
    private readonly double[][] sums;
    private readonly long[] tokens;
    private readonly float[] ones;
    private readonly float[] activated;
    private readonly float[] gated;

    /// <summary>Starts at zero.</summary>
    /// <param name="experts">Routed experts.</param>
    /// <param name="neurons">F, neurons of an expert.</param>
    public NeuronImportance(int experts, int neurons)
    {
        this.neurons = neurons;
        sums = [.. Enumerable.Range(0, Metrics).Select(_ => new double[experts * neurons])];
        tokens = new long[experts];
        (ones, activated, gated) = (new float[neurons], new float[neurons], new float[neurons]);
        Array.Fill(ones, 1f);
    }

    /// <summary>[experts] the number of tokens routed to each expert.</summary>
    public IReadOnlyList<long> Tokens => tokens;

    /// <summary>[neurons] an expert's sums by one metric, 1 to 4.</summary>
    public ReadOnlySpan<double> Of(int metric, int expert) => sums[metric - 1].AsSpan(expert * neurons, neurons);

    /// <summary>Adds one token routed to an expert: a <see cref="Engine.Moe.NeuronObserver"/>.</summary>
    /// <param name="token">The token; all count equally.</param>
    /// <param name="expert">The expert.</param>
    /// <param name="gate">[neurons] x·W1.</param>
    /// <param name="up">[neurons] x·W3.</param>
    public void Add(int token, int expert, ReadOnlySpan<float> gate, ReadOnlySpan<float> up)
    {
        tokens[expert]++;
        SwiGlu.Forward(gate, ones, activated);
        TensorPrimitives.Multiply(activated, up, gated);
        Span<double> first = Sums(0, expert), second = Sums(1, expert), third = Sums(2, expert), fourth = Sums(3, expert);
        int n = 0;
        for (; n + Vector<float>.Count <= neurons; n += Vector<float>.Count)
        {
            Vector<float> a = new(activated.AsSpan(n)), g = new(gated.AsSpan(n));
            Add(a, first[n..]);
            Add(Vector.Abs(a), second[n..]);
            Add(g, third[n..]);
            Add(Vector.Abs(g), fourth[n..]);
        }

        for (; n < neurons; n++)
        {
            first[n] += activated[n];
            second[n] += Math.Abs(activated[n]);
            third[n] += gated[n];
            fourth[n] += Math.Abs(gated[n]);
        }
    }

    private static void Add(Vector<float> values, Span<double> sums)
    {
        Vector.Widen(values, out var low, out var high);
        var behind = sums[Vector<double>.Count..];
        (new Vector<double>(sums) + low).CopyTo(sums);
        (new Vector<double>(behind) + high).CopyTo(behind);
    }

    private Span<double> Sums(int metric, int expert) => sums[metric].AsSpan(expert * neurons, neurons);
}
