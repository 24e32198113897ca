using DualSparse.Engine.Moe.Balance;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;

namespace DualSparse.Tests.Engine.Moe.Balance;

/// <summary>Experts converted for a pass are what they would be had they been loaded so, and the layer's own stay as they are.</summary>
public unsafe class LowExpertsTests
{
    [Theory]
    [InlineData(WeightFormat.Bf16, true)]
    [InlineData(WeightFormat.Bf16, false)]
    [InlineData(WeightFormat.F32, true)]
    [InlineData(WeightFormat.Int4, true)]
    [InlineData(WeightFormat.Int8, false)]
    public void Converted_panels_are_those_of_int8_weights_to_the_bit(WeightFormat format, bool measured)
    {
        using var team = new ThreadTeam(2);
        using var work = new Workspace(team, KernelSet.Best());
        using var source = Random(format, 4, 96, 70);
        using var expected = new PackedExperts(WeightFormat.Int8, 4, 96, 70);
        byte[] before = Bytes(source.GateUp(2));
        if (measured)
            source.MeasureOutputs(team);
        using var low = new LowExperts();
        int[] from = [3, 1, 2];
        // Twice, for two layers one after another in one block.
        low.Convert(work, source, [0, 0, 0], [true, true, true], LowFormat.Int8);
        long block = low.Bytes;
        low.Convert(work, source, from, [true, false, true], LowFormat.Int8);
        Assert.Equal(block, low.Bytes);
        for (int e = 0; e < from.Length; e++)
        {
            int made = e == 1 ? 0 : from[e];
            foreach (var (matrix, of, into) in new[] { (low.Experts.GateUp(e), source.GateUp(made), expected.GateUp(e)), (low.Experts.Down(e), source.Down(made), expected.Down(e)) })
            {
                for (int panel = 0; panel < of.PanelCount; panel++)
                    into.ConvertPanel(panel, of);
                Assert.Equal(Bytes(into), Bytes(matrix));
            }
        }

        Assert.Equal(before, Bytes(source.GateUp(2)));
    }

    // Only where the same are asked for, and by who asks for it.
    [Fact]
    public void What_is_converted_already_may_be_kept()
    {
        using var team = new ThreadTeam(1);
        using var work = new Workspace(team, KernelSet.Best());
        using var source = Random(WeightFormat.Bf16, 2, 96, 70);
        using var low = new LowExperts();
        low.Convert(work, source, [0, 1], [true, false], LowFormat.Int8);
        byte[] first = Bytes(low.Experts.GateUp(0));
        source.GateUp(0).PackPanel(0, [.. Enumerable.Range(0, PanelLayout.Columns * 96).Select(i => i % 7 - 3f)]);
        low.Convert(work, source, [0, 1], [true, false], LowFormat.Int8, keep: true);
        Assert.Equal(first, Bytes(low.Experts.GateUp(0)));
        low.Convert(work, source, [0, 1], [true, true], LowFormat.Int8, keep: true);
        Assert.NotEqual(first, Bytes(low.Experts.GateUp(0)));
        byte[] second = Bytes(low.Experts.GateUp(0));
        source.GateUp(0).PackPanel(0, [.. Enumerable.Range(0, PanelLayout.Columns * 96).Select(i => i % 5 - 2f)]);
        low.Convert(work, source, [0, 1], [true, true], LowFormat.Int8);
        Assert.NotEqual(second, Bytes(low.Experts.GateUp(0)));
    }

    private static PackedExperts Random(WeightFormat format, int count, int hidden, int neurons)
    {
        var random = new Random(5);
        var experts = new PackedExperts(format, count, hidden, neurons);
        foreach (var matrix in Enumerable.Range(0, count).SelectMany(e => new[] { experts.GateUp(e), experts.Down(e) }))
        {
            for (int panel = 0; panel < matrix.PanelCount; panel++)
                matrix.PackPanel(panel, [.. Enumerable.Range(0, PanelLayout.Columns * matrix.Inputs).Select(_ => random.NextSingle() * 2 - 1)]);
        }

        return experts;
    }

    private static byte[] Bytes(PackedMatrix matrix) => new ReadOnlySpan<byte>(matrix.Panel(0), (int)matrix.Bytes).ToArray();
}
