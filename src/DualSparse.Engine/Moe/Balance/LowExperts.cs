using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Engine.Moe.Balance;

/// <summary>
/// A rank's experts of one layer in a lower precision: a block of memory that the ticket owns. They are converted from the layer's own for one pass,
/// while its rows travel, and overwritten for the next; what no row asks for isn't converted.
/// </summary>
internal sealed class LowExperts : IDisposable
{
    private PackedExperts? block, converted;
    private LowFormat convertedTo;
    private int[] convertedFrom = [];
    private bool[] convertedUsed = [];

    /// <summary>The experts, once converted.</summary>
    /// <exception cref="InvalidOperationException">They aren't.</exception>
    public PackedExperts Experts => block ?? throw new InvalidOperationException("a rank's experts haven't been converted");

    /// <summary>Bytes of the block.</summary>
    public long Bytes => (long)(block?.Bytes ?? 0);

    /// <summary>The format in which a lower precision is kept.</summary>
    public static WeightFormat Format(LowFormat low) => low == LowFormat.Int8 ? WeightFormat.Int8 : WeightFormat.F32;

    /// <summary>Converts experts.</summary>
    /// <param name="work">Threads.</param>
    /// <param name="source">The layer's own.</param>
    /// <param name="from">[experts of the rank] the index of each among them.</param>
    /// <param name="used">[experts of the rank] whether any row asks for it.</param>
    /// <param name="low">The lower precision.</param>
    /// <param name="keep">Whether those that are here already, of the same experts, aren't converted again.</param>
    public void Convert(Workspace work, PackedExperts source, ReadOnlySpan<int> from, ReadOnlySpan<bool> used, LowFormat low, bool keep = false)
    {
        if (keep && converted == source && from.SequenceEqual(convertedFrom) && used.SequenceEqual(convertedUsed) && convertedTo == low && block is not null)
            return;
        (converted, convertedTo, convertedFrom, convertedUsed) = (source, low, from.ToArray(), used.ToArray());
        if (block is null || block.Format != Format(low) || block.Count < from.Length || block.Hidden != source.Hidden || block.Neurons != source.Neurons)
        {
            block?.Dispose();
            block = null;
            block = new PackedExperts(Format(low), from.Length, source.Hidden, source.Neurons.Neurons);
        }

        var target = block;
        List<(int To, int From)> experts = [];
        for (int i = 0; i < from.Length; i++)
        {
            if (used[i])
                experts.Add((i, from[i]));
        }

        if (experts.Count == 0)
            return;
        int gateUp = source.GateUp(0).PanelCount, down = source.Down(0).PanelCount;
        work.Team.For(experts.Count * (gateUp + down), (item, _) =>
        {
            var (expert, panel) = Math.DivRem(item, gateUp + down);
            var (to, own) = experts[expert];
            if (low == LowFormat.Int8)
                source.ConvertInt8(target, to, own, panel);
            else
                Emulate(target, to, source, own, panel, low);
        });
    }

    // A panel in f32 is [inputs, 32]; blocks lie along the inputs. A tensor's scale is that of the whole projection.
    private static unsafe void Emulate(PackedExperts target, int to, PackedExperts source, int expert, int panel, LowFormat low)
    {
        int gateUp = source.GateUp(expert).PanelCount;
        bool isDown = panel >= gateUp;
        var (made, of) = isDown ? (target.Down(to), source.Down(expert)) : (target.GateUp(to), source.GateUp(expert));
        int index = isDown ? panel - gateUp : panel;
        made.ConvertPanel(index, of);
        var (gate, up, down) = source.Largest(expert);
        float* steps = (float*)made.Panel(index);
        Span<float> block = stackalloc float[Fp4.MxBlock];
        for (int column = 0; column < PanelLayout.Columns; column++)
        {
            float scale = Fp4.NvScale(isDown ? down : column < NeuronLayout.PerPanel ? gate : up);
            for (int first = 0; first < made.Inputs; first += block.Length)
            {
                for (int i = 0; i < block.Length; i++)
                    block[i] = steps[(first + i) * PanelLayout.Columns + column];
                if (low == LowFormat.NvFp4)
                    Fp4.RoundNv(block, scale);
                else
                    Fp4.RoundMx(block);
                for (int i = 0; i < block.Length; i++)
                    steps[(first + i) * PanelLayout.Columns + column] = block[i];
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        block?.Dispose();
        block = null;
    }
}
