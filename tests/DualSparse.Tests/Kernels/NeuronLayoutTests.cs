using DualSparse.Kernels.Packing;

namespace DualSparse.Tests.Kernels;

public class NeuronLayoutTests
{
    public static TheoryData<int> Sizes => [1, 2, 15, 16, 17, 24, 127, 128, 129, 193, 256];

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Every_neuron_has_one_position_and_either_half_is_contiguous(int neurons)
    {
        var layout = new NeuronLayout(neurons);
        int[] at = [.. Enumerable.Range(0, layout.Padded).Select(layout.NeuronAt)];
        Assert.Equal(Enumerable.Range(0, neurons), at.Where(n => n >= 0));
        Assert.Equal(Enumerable.Range(0, layout.Major), at[..layout.Major]);
        Assert.Equal(layout.MajorPadded, Array.IndexOf(at, layout.Major) < 0 ? layout.MajorPadded : Array.IndexOf(at, layout.Major));
        Assert.Equal(0, layout.MajorPadded % PanelLayout.InputAlignment);
        Assert.Equal(0, layout.Padded % PanelLayout.InputAlignment);
    }

    // Panels of 32: the gates of 16 positions, then their ups.
    [Theory]
    [MemberData(nameof(Sizes))]
    public void Gates_and_ups_of_sixteen_positions_share_a_panel(int neurons)
    {
        var layout = new NeuronLayout(neurons);
        for (int panel = 0; panel < layout.Padded / 16; panel++)
        {
            for (int i = 0; i < 16; i++)
            {
                int neuron = layout.NeuronAt(16 * panel + i);
                Assert.Equal((neuron, false), layout.NeuronOfOutput(32 * panel + i));
                Assert.Equal((neuron, true), layout.NeuronOfOutput(32 * panel + 16 + i));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void A_row_of_products_is_split_by_the_same_rule(int neurons)
    {
        var layout = new NeuronLayout(neurons);
        float[] row = new float[2 * layout.Padded], gate = new float[neurons], up = new float[neurons];
        for (int output = 0; output < row.Length; output++)
        {
            var (neuron, isUp) = layout.NeuronOfOutput(output);
            row[output] = neuron < 0 ? float.NaN : isUp ? -1 - neuron : 1 + neuron;
        }

        layout.Split(row, gate, up);
        Assert.Equal(Enumerable.Range(1, neurons).Select(n => (float)n), gate);
        Assert.Equal(Enumerable.Range(1, neurons).Select(n => (float)-n), up);
    }
}
