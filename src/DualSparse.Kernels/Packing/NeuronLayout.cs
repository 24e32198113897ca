namespace DualSparse.Kernels.Packing;

/// <summary>
/// Where an expert's neurons lie once packed: the major half (the first ⌈F/2⌉), padded to a multiple of 64, then the minor half,
/// padded likewise. So either half is contiguous, no block of quantised weights straddles the cut, and the major half is a prefix.
/// <para>
/// Down's inputs are the positions. Of gate and up, one matrix, each panel's 32 outputs are the gates of <see cref="PerPanel"/>
/// positions, then the ups of the same: one product gives all that SiLU(gate)·up needs.
/// </para>
/// </summary>
/// <param name="Neurons">F, the expert's intermediate size.</param>
internal readonly record struct NeuronLayout(int Neurons)
{
    /// <summary>Neurons in one panel of gate and up: as many gates, then as many ups.</summary>
    public const int PerPanel = PanelLayout.Columns / 2;

    /// <summary>Neurons in the major half.</summary>
    public int Major => (Neurons + 1) / 2;

    /// <summary>The major half with its padding.</summary>
    public int MajorPadded => PanelLayout.PadInputs(Major);

    /// <summary>Both halves with their padding.</summary>
    public int Padded => MajorPadded + PanelLayout.PadInputs(Neurons - Major);

    /// <summary>The neuron at a packed position, or −1 for padding.</summary>
    public int NeuronAt(int position)
    {
        int neuron = position < MajorPadded ? position : position - MajorPadded + Major;
        return neuron < (position < MajorPadded ? Major : Neurons) ? neuron : -1;
    }

    /// <summary>The neuron of an output of gate and up, or −1 for padding, and whether the output is its up.</summary>
    public (int Neuron, bool IsUp) NeuronOfOutput(int output) =>
        (NeuronAt(output / PanelLayout.Columns * PerPanel + output % PerPanel), output % PanelLayout.Columns >= PerPanel);

    /// <summary>Splits a row of products with gate and up.</summary>
    /// <param name="row">[2 · <see cref="Padded"/>], as the product with the packed matrix gives it.</param>
    /// <param name="gate">[F], overwritten: x·W1 in the order in which the neurons were packed.</param>
    /// <param name="up">[F], overwritten: x·W3.</param>
    public void Split(ReadOnlySpan<float> row, Span<float> gate, Span<float> up)
    {
        for (int position = 0; position < Padded; position += PerPanel)
        {
            int first = NeuronAt(position);
            if (first < 0)
                continue;
            int count = Math.Min(PerPanel, (position < MajorPadded ? Major : Neurons) - first);
            row.Slice(2 * position, count).CopyTo(gate[first..]);
            row.Slice(2 * position + PerPanel, count).CopyTo(up[first..]);
        }
    }
}
