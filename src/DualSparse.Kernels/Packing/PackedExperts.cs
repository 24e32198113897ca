using DualSparse.Kernels.Threading;

namespace DualSparse.Kernels.Packing;

/// <summary>
/// The experts of one layer, packed in one block. A SwiGLU expert f(x) = (SiLU(x·W1) ⊙ x·W3)·W2 is two matrices: gate and up together,
/// interleaved as <see cref="NeuronLayout"/> says; and down, whose inputs are the neurons.
/// A dense MLP is one expert that every token takes.
/// </summary>
internal sealed class PackedExperts : IDisposable
{
    private readonly PackedSet set;
    private float[]? largest;
    private int panels;

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

    /// <summary>Finds the largest weight of each output, so that <see cref="ConvertInt8"/> needn't: four bytes an output.</summary>
    /// <param name="team">Threads.</param>
    public unsafe void MeasureOutputs(ThreadTeam team)
    {
        // A rank may have no expert.
        panels = set.Matrices.Select(matrix => matrix.PanelCount).DefaultIfEmpty().Max();
        float[] found = new float[set.Matrices.Count * panels * PanelLayout.Columns];
        team.For(set.Matrices.Count, (index, _) =>
        {
            var matrix = set.Matrices[index];
            fixed (float* all = found)
            {
                for (int panel = 0; panel < matrix.PanelCount; panel++)
                    matrix.FindLargest(panel, all + (index * panels + panel) * PanelLayout.Columns);
            }
        });
        largest = found;
    }

    /// <summary>The largest magnitude of an expert's gate, up and down projection, after <see cref="MeasureOutputs"/>.</summary>
    /// <exception cref="InvalidOperationException">They weren't measured.</exception>
    public (float Gate, float Up, float Down) Largest(int expert)
    {
        if (largest is null)
            throw new InvalidOperationException("the experts' outputs haven't been measured");
        float gate = 0, up = 0, down = 0;
        for (int output = 0; output < GateUp(expert).Outputs; output++)
        {
            float here = largest[2 * expert * panels * PanelLayout.Columns + output];
            if (Neurons.NeuronOfOutput(output).IsUp)
                up = Math.Max(up, here);
            else
                gate = Math.Max(gate, here);
        }

        for (int output = 0; output < Hidden; output++)
            down = Math.Max(down, largest[(2 * expert + 1) * panels * PanelLayout.Columns + output]);
        return (gate, up, down);
    }

    /// <summary>Packs one panel of an expert's matrices in int8 into other experts: the bits that <see cref="PackedMatrix.ConvertPanel"/> gives.</summary>
    /// <param name="target">int8, of the same sizes.</param>
    /// <param name="to">The expert there.</param>
    /// <param name="expert">The expert here.</param>
    /// <param name="panel">Of gate and up, then of down.</param>
    public unsafe void ConvertInt8(PackedExperts target, int to, int expert, int panel)
    {
        int down = panel < GateUp(expert).PanelCount ? 0 : 1;
        int index = down == 0 ? panel : panel - GateUp(expert).PanelCount;
        var (source, made) = (set.Matrices[2 * expert + down], target.set.Matrices[2 * to + down]);
        if (largest is null || source.Format == WeightFormat.Int8)
        {
            made.ConvertPanel(index, source);
            return;
        }

        fixed (float* all = largest)
            made.ConvertPanelInt8(index, source, all + ((2 * expert + down) * panels + index) * PanelLayout.Columns);
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose() => set.Dispose();

    private static (int Outputs, int Inputs)[] Shapes(int hidden, NeuronLayout neurons) => [(2 * neurons.Padded, hidden), (hidden, neurons.Padded)];
}
