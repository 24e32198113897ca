using DualSparse.Kernels.Memory;

namespace DualSparse.Kernels.Packing;

/// <summary>
/// The experts of one layer, packed in one block. A SwiGLU expert f(x) = (SiLU(x·W1) ⊙ x·W3)·W2 is two matrices: gate and up
/// together, each panel holding 16 neurons' gates and the same neurons' ups; and down, whose inputs are the neurons.
/// A dense MLP is one expert that every token takes.
/// </summary>
internal sealed class PackedExperts : IDisposable
{
    /// <summary>Neurons in one panel of <see cref="GateUp"/>: 16 gates and 16 ups.</summary>
    public const int NeuronsPerPanel = PanelLayout.Columns / 2;

    private readonly AlignedBuffer block;
    private readonly PackedMatrix[] gateUp;
    private readonly PackedMatrix[] down;

    /// <summary>Makes room for <paramref name="count"/> experts; their weights are undefined until packed.</summary>
    /// <exception cref="OutOfMemoryException">There is no room.</exception>
    public PackedExperts(WeightFormat format, int count, int hidden, int neurons)
    {
        Format = format;
        Hidden = hidden;
        Neurons = new NeuronLayout(neurons);
        nuint first = PackedMatrix.SizeBytes(format, 2 * Neurons.Padded, hidden);
        nuint second = PackedMatrix.SizeBytes(format, hidden, Neurons.Padded);
        block = new AlignedBuffer((first + second) * (nuint)count);
        gateUp = new PackedMatrix[count];
        down = new PackedMatrix[count];
        for (int e = 0; e < count; e++)
        {
            gateUp[e] = new PackedMatrix(format, 2 * Neurons.Padded, hidden, block, (first + second) * (nuint)e);
            down[e] = new PackedMatrix(format, hidden, Neurons.Padded, block, (first + second) * (nuint)e + first);
        }
    }

    /// <summary>How the weights are kept.</summary>
    public WeightFormat Format { get; }

    /// <summary>Experts.</summary>
    public int Count => gateUp.Length;

    /// <summary>D, inputs and outputs of an expert.</summary>
    public int Hidden { get; }

    /// <summary>F, and where each neuron lies.</summary>
    public NeuronLayout Neurons { get; }

    /// <summary>Bytes of all weights, padding included.</summary>
    public nuint Bytes => block.Bytes;

    /// <summary>[2·padded F, D]: panel j holds the gates, then the ups, of the neurons at positions 16j…16j+15.</summary>
    public PackedMatrix GateUp(int expert) => gateUp[expert];

    /// <summary>[D, padded F].</summary>
    public PackedMatrix Down(int expert) => down[expert];

    /// <summary>Frees the weights.</summary>
    public void Dispose() => block.Dispose();
}
