using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Benchmarking;

/// <summary>The roofline of a layer's experts on some rows: the bytes that must be read and the operations that must be done.</summary>
/// <param name="Bytes">Bytes of the weights of the experts, or major halves, that have a row; padding isn't counted.</param>
/// <param name="Operations">Two for each multiply-add: 2·3·D·F for a pair, half of it for a major-only one.</param>
internal readonly record struct Roofline(double Bytes, double Operations)
{
    /// <summary>Counts them for a batch.</summary>
    public static Roofline Of(WeightFormat format, LayerShape shape, ExpertBatch batch)
    {
        var neurons = new NeuronLayout(shape.Neurons);
        double bytes = 0, operations = 0;
        foreach (var rows in batch.Experts)
        {
            bytes += MatrixBytes(format, shape.Hidden, rows.Full > 0 ? shape.Neurons : neurons.Major);
            operations += 6.0 * shape.Hidden * ((double)rows.Full * shape.Neurons + (double)(rows.Count - rows.Full) * neurons.Major);
        }

        return new(bytes, operations);
    }

    /// <summary>Adds the shared experts, which every token takes.</summary>
    public Roofline WithShared(WeightFormat format, LayerShape shape, int tokens) => new(
        Bytes + MatrixBytes(format, shape.Hidden, shape.SharedNeurons), Operations + 6.0 * shape.Hidden * shape.SharedNeurons * tokens);

    /// <summary>max(bytes / bandwidth, operations / rate), in seconds.</summary>
    public double Seconds(double bytesPerSecond, double operationsPerSecond) => Math.Max(Bytes / bytesPerSecond, Operations / operationsPerSecond);

    // Gate, up and down of some neurons, including scales.
    private static double MatrixBytes(WeightFormat format, int hidden, int neurons)
    {
        var entry = WeightFormats.Of(format);
        return entry.MatrixBytes(2 * neurons, hidden) + entry.MatrixBytes(hidden, neurons);
    }
}
