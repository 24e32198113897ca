namespace DualSparse.Kernels.Packing;

/// <summary>
/// The experts of one layer, packed in one block. A SwiGLU expert f(x) = (SiLU(x·W1) ⊙ x·W3)·W2 is two matrices: gate and up together,
/// interleaved as <see cref="NeuronLayout"/> says; and down, whose inputs are the neurons.
/// A dense MLP is one expert that every token takes.
/// </summary>
internal sealed class PackedExperts : IDisposable
{
    private readonly PackedSet set;

    /// <summary>Makes room for <paramref name="count"/> experts; their weights are undefined until packed.</summary>
    /// <exception cref="OutOfMemoryException">There is no room.</exception>
    public PackedExperts(WeightFormat format, int count, int hidden, int neurons)
    {
        Format = format;
        Hidden = hidden;
        Neurons = new NeuronLayout(neurons);
        set = new PackedSet(format, count, Shapes(hidden, Neurons));
    }

    /// <summary>The format of the weights.</summary>
    public WeightFormat Format { get; }

    /// <summary>Experts.</summary>
    public int Count => set.Matrices.Count / 2;

    /// <summary>D, inputs and outputs of an expert.</summary>
    public int Hidden { get; }

    /// <summary>F, and where each neuron lies.</summary>
    public NeuronLayout Neurons { get; }

    /// <summary>Bytes of all weights, padding included.</summary>
    public nuint Bytes => set.Bytes;

    /// <summary>Bytes that one expert takes, padding included.</summary>
    public static nuint SizeBytes(WeightFormat format, int hidden, int neurons) => PackedSet.SizeBytes(format, Shapes(hidden, new NeuronLayout(neurons)));

    /// <summary>[2·padded F, D]: panel j holds the gates, then the ups, of the neurons at positions 16j…16j+15.</summary>
    public PackedMatrix GateUp(int expert) => set.Matrices[2 * expert];

    /// <summary>[D, padded F].</summary>
    public PackedMatrix Down(int expert) => set.Matrices[2 * expert + 1];

    /// <summary>Frees the weights.</summary>
    public void Dispose() => set.Dispose();

    private static (int Outputs, int Inputs)[] Shapes(int hidden, NeuronLayout neurons) => [(2 * neurons.Padded, hidden), (hidden, neurons.Padded)];
}
