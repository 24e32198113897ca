using DualSparse.Kernels;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Packing;
using DualSparse.Tests.Kernels;

namespace DualSparse.Tests.Engine.Reference;

/// <summary>What a weight format makes of the numbers of a product: its weights as they are packed, its rows as a kernel wants them.</summary>
/// <param name="weights">The format.</param>
/// <param name="rows">The form of the rows that meet packed weights; F32: they stay as they are.</param>
/// <param name="attention">The form of queries and softmax weights, which meet the cache.</param>
/// <param name="cache">The format of cached keys and values.</param>
internal sealed class Rounding(WeightFormat weights, ActivationFormat rows, ActivationFormat attention, WeightFormat cache)
{
    // With fewer weights the mean of what rounding adds isn't near enough to zero.
    private const int ManyWeights = 1000;

    /// <summary>Nothing is rounded.</summary>
    public static Rounding None { get; } = OfWeights(WeightFormat.F32);

    /// <summary>All that a model rounds with these weights.</summary>
    public static Rounding Of(WeightFormat weights)
    {
        var kernels = KernelSet.Best();
        var cache = KvLayout.FormatFor(weights);
        return new Rounding(weights, kernels[weights].Activations, kernels[cache].Activations, cache);
    }

    /// <summary>Weights only: every function of the activations stays smooth.</summary>
    public static Rounding OfWeights(WeightFormat weights) => new(weights, ActivationFormat.F32, ActivationFormat.F32, WeightFormat.F32);

    /// <summary>A row of a product with packed weights.</summary>
    public double[] Row(double[] x) => Round(x, rows);

    /// <summary>A query or a row of softmax weights.</summary>
    public double[] AttentionRow(double[] x) => Round(x, attention);

    /// <summary>A key or value in the cache.</summary>
    public double[] Cached(double[] x) => Round(x, cache == WeightFormat.F32 ? ActivationFormat.F32 : ActivationFormat.Bf16);

    /// <summary>A matrix as it is packed, [outputs, inputs].</summary>
    /// <param name="matrix">[outputs, <paramref name="inputs"/>].</param>
    /// <param name="inputs">Inputs.</param>
    /// <param name="neurons">Whether the inputs are an expert's neurons, which lie in two halves.</param>
    public double[] Weights(double[] matrix, int inputs, bool neurons = false)
    {
        if (weights == WeightFormat.F32)
            return matrix;
        var halves = new NeuronLayout(inputs);
        int padded = neurons ? halves.Padded : PanelLayout.PadInputs(inputs), outputs = matrix.Length / inputs;
        int Place(int input) => neurons && input >= halves.Major ? halves.MajorPadded + input - halves.Major : input;
        using var block = new AlignedBuffer(PackedMatrix.SizeBytes(weights, outputs, padded));
        var packed = new PackedMatrix(weights, outputs, padded, block, 0);
        float[] panel = new float[PanelLayout.Columns * padded];
        double[] decoded = new double[matrix.Length];
        double same = 0, squares = 0;
        for (int first = 0; first < outputs; first += PanelLayout.Columns)
        {
            int count = Math.Min(PanelLayout.Columns, outputs - first);
            Array.Clear(panel);
            for (int i = 0; i < count * inputs; i++)
                panel[i / inputs * padded + Place(i % inputs)] = (float)matrix[first * inputs + i];
            packed.PackPanel(first / PanelLayout.Columns, panel);
            for (int i = first * inputs; i < (first + count) * inputs; i++)
            {
                decoded[i] = PanelValues.Weight(packed, i / inputs, Place(i % inputs));
                same += matrix[i] * decoded[i];
                squares += decoded[i] * decoded[i];
            }
        }

        // Rounding adds noise; a scale that is wrong would stretch.
        if (matrix.Length >= ManyWeights)
            Assert.InRange(same / squares, 0.995, 1.005);
        return decoded;
    }

    private static double[] Round(double[] x, ActivationFormat form)
    {
        switch (form)
        {
            case ActivationFormat.F32:
                return x;
            case ActivationFormat.Bf16:
                return [.. x.Select(v => (double)Bf16.ToSingle(Bf16.FromSingle((float)v)))];
            default:
                double largest = x.Max(Math.Abs);
                return largest == 0 ? x : [.. x.Select(v => Math.Round(v * 127 / largest) * largest / 127)];
        }
    }
}
