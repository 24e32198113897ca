using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;
using DualSparse.Models.Safetensors;

namespace DualSparse.Engine.Loading;

/// <summary>
/// Packs matrices of a checkpoint, panel by panel on all threads; only a panel's rows are in memory twice. Rows of bf16 matrices stay bf16,
/// others are widened to f32.
/// </summary>
internal sealed class WeightPacker(ThreadTeam team)
{
    private readonly ushort[][] narrow = new ushort[team.Size][];
    private readonly float[][] wide = new float[team.Size][];

    /// <summary>Packs matrices [outputs, inputs], stacked, into one matrix.</summary>
    public void Pack(PackedMatrix target, params WeightView[] stacked)
    {
        if (AllBf16(stacked))
            Fill(target, narrow, target.PackPanelBf16, (output, row) => ReadStacked(output, row, ReadBf16));
        else
            Fill(target, wide, target.PackPanel, (output, row) => ReadStacked(output, row, ReadF32));

        void ReadStacked<T>(int output, Span<T> row, ReadElements<T> read)
        {
            foreach (var matrix in stacked)
            {
                if (output < matrix.Rows)
                {
                    read(matrix, (long)output * matrix.Columns, row[..matrix.Columns]);
                    return;
                }

                output -= matrix.Rows;
            }
        }
    }

    /// <summary>
    /// Packs expert <paramref name="expert"/>: gate and up [F, D], down [D, F]; its neurons in a given order, or in the checkpoint's.
    /// </summary>
    public void Pack(PackedExperts target, int expert, WeightView gate, WeightView up, WeightView down, int[]? order = null)
    {
        if (AllBf16(gate, up, down))
            Pack(target, expert, gate, up, down, order, narrow, m => m.PackPanelBf16, ReadBf16);
        else
            Pack(target, expert, gate, up, down, order, wide, m => m.PackPanel, ReadF32);
    }

    /// <summary>Packs weights that are in memory, [outputs, <paramref name="inputs"/>].</summary>
    public void Pack(PackedMatrix target, ReadOnlyMemory<float> weights, int inputs) => Fill(target, wide, target.PackPanel, (output, row) =>
    {
        if (output < target.Outputs)
            weights.Span.Slice(output * inputs, inputs).CopyTo(row);
    });

    /// <summary>Packs the transpose of weights that are in memory, [inputs, <paramref name="outputs"/>].</summary>
    public void PackTransposed(PackedMatrix target, ReadOnlyMemory<float> weights, int outputs) => Fill(target, wide, target.PackPanel, (output, row) =>
    {
        var source = weights.Span;
        for (int i = 0; output < outputs && i * outputs < source.Length; i++)
            row[i] = source[i * outputs + output];
    });

    private void Pack<T>(
        PackedExperts target, int expert, WeightView gate, WeightView up, WeightView down, int[]? order, T[][] scratch, Func<PackedMatrix, PackPanel<T>> pack, ReadElements<T> read)
    {
        var layout = target.Neurons;
        Fill(target.GateUp(expert), scratch, pack(target.GateUp(expert)), (output, row) =>
        {
            var (neuron, isUp) = layout.NeuronOfOutput(output);
            if (neuron >= 0)
                read(isUp ? up : gate, (long)(order?[neuron] ?? neuron) * target.Hidden, row[..target.Hidden]);
        });
        Fill(target.Down(expert), scratch, pack(target.Down(expert)), (output, row) =>
        {
            if (output >= target.Hidden)
                return;
            long first = (long)output * layout.Neurons;
            Span<T> major = row[..layout.Major], minor = row.Slice(layout.MajorPadded, layout.Neurons - layout.Major);
            if (order is null)
            {
                read(down, first, major);
                read(down, first + layout.Major, minor);
                return;
            }

            // A part of an expert takes some of its neurons.
            var stored = new T[down.Columns];
            read(down, (long)output * down.Columns, stored);
            for (int n = 0; n < layout.Neurons; n++)
                (n < major.Length ? ref major[n] : ref minor[n - major.Length]) = stored[order[n]];
        });
    }

    private void Fill<T>(PackedMatrix target, T[][] scratch, PackPanel<T> pack, ReadRow<T> read)
    {
        int rowLength = target.Inputs;
        team.For(target.PanelCount, (panel, worker) =>
        {
            int size = PanelLayout.Columns * rowLength;
            if (scratch[worker] is null || scratch[worker].Length < size)
                scratch[worker] = new T[size];
            var rows = scratch[worker].AsSpan(0, size);
            rows.Clear();
            for (int c = 0; c < PanelLayout.Columns; c++)
                read(panel * PanelLayout.Columns + c, rows.Slice(c * rowLength, rowLength));
            pack(panel, rows);
        });
    }

    private static bool AllBf16(params ReadOnlySpan<WeightView> matrices)
    {
        foreach (var matrix in matrices)
        {
            if (matrix.Type != TensorType.BF16)
                return false;
        }

        return true;
    }

    private static void ReadBf16(WeightView matrix, long first, Span<ushort> elements) => matrix.ReadBf16(first, elements);

    private static void ReadF32(WeightView matrix, long first, Span<float> elements) => matrix.ReadFloats(first, elements);

    /// <summary>Reads the weights of one output into a row of zeros; an output beyond the matrix leaves it unchanged.</summary>
    private delegate void ReadRow<T>(int output, Span<T> row);

    /// <summary>Reads a matrix's elements from <paramref name="first"/> on, row-major.</summary>
    private delegate void ReadElements<T>(WeightView matrix, long first, Span<T> elements);

    /// <summary>Packs a panel from [32, inputs] rows.</summary>
    private delegate void PackPanel<T>(int panel, ReadOnlySpan<T> rows);
}
