using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;
using DualSparse.Models.Safetensors;

namespace DualSparse.Engine.Loading;

/// <summary>Mapped tensors into packed matrices, panel by panel on all threads; a panel's rows in f32 are all that is held twice.</summary>
internal sealed class WeightPacker(ThreadTeam team)
{
    private readonly float[][] scratch = new float[team.Size][];

    /// <summary>Packs tensors [outputs, inputs], one under another, into one matrix.</summary>
    public void Pack(PackedMatrix target, params TensorView[] stacked)
    {
        Fill(target, (output, row) =>
        {
            foreach (var tensor in stacked)
            {
                if (output < tensor.Rows)
                {
                    tensor.ReadRow(output, row[..(int)tensor.RowLength]);
                    return;
                }

                output -= (int)tensor.Rows;
            }
        });
        foreach (var tensor in stacked)
            tensor.Release();
    }

    /// <summary>Packs expert <paramref name="expert"/>: gate and up [F, D], down [D, F].</summary>
    public void Pack(PackedExperts target, int expert, TensorView gate, TensorView up, TensorView down)
    {
        const int half = PackedExperts.NeuronsPerPanel;
        var layout = target.Neurons;
        Fill(target.GateUp(expert), (output, row) =>
        {
            int neuron = layout.NeuronAt(output / PanelLayout.Columns * half + output % half);
            if (neuron >= 0)
                (output % PanelLayout.Columns < half ? gate : up).ReadRow(neuron, row[..target.Hidden]);
        });
        Fill(target.Down(expert), (output, row) =>
        {
            if (output >= target.Hidden)
                return;
            down.ReadFloats((long)output * layout.Neurons, row[..layout.Major]);
            down.ReadFloats((long)output * layout.Neurons + layout.Major, row.Slice(layout.MajorPadded, layout.Neurons - layout.Major));
        });
        gate.Release();
        up.Release();
        down.Release();
    }

    private void Fill(PackedMatrix target, ReadRow read)
    {
        int rowLength = target.Inputs;
        team.For(target.PanelCount, (panel, worker) =>
        {
            int size = PanelLayout.Columns * rowLength;
            if (scratch[worker] is null || scratch[worker].Length < size)
                scratch[worker] = new float[size];
            var rows = scratch[worker].AsSpan(0, size);
            rows.Clear();
            for (int c = 0; c < PanelLayout.Columns; c++)
                read(panel * PanelLayout.Columns + c, rows.Slice(c * rowLength, rowLength));
            target.PackPanel(panel, rows);
        });
    }

    /// <summary>Reads the weights of one output into a row of zeros; an output beyond the matrix leaves it so.</summary>
    private delegate void ReadRow(int output, Span<float> row);
}
