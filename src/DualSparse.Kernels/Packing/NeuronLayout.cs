namespace DualSparse.Kernels.Packing;

/// <summary>
/// Where an expert's neurons lie once packed: the major half (the first ⌈F/2⌉), padded to a multiple of 64, then the minor half,
/// padded likewise. So either half is contiguous, no block of quantised weights straddles the cut, and the major half is a prefix.
/// </summary>
/// <param name="Neurons">F, the expert's intermediate size.</param>
internal readonly record struct NeuronLayout(int Neurons)
{
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
}
