using System.Buffers;
using DualSparse.Kernels.Memory;

namespace DualSparse.Kernels.Packing;

/// <summary>A matrix of weights in panels (<see cref="PanelLayout"/>): [outputs, inputs], inputs padded to a multiple of 64.</summary>
/// <remarks>It lies in a block that others may share (all experts of a layer lie in one); the owner of the block frees it.</remarks>
internal sealed unsafe class PackedMatrix(WeightFormat format, int outputs, int inputs, AlignedBuffer block, nuint offset)
{
    /// <summary>The format of the weights.</summary>
    public WeightFormat Format => format;

    /// <summary>The number of outputs; the last panel is padded with zeros.</summary>
    public int Outputs => outputs;

    /// <summary>Inputs, padding included.</summary>
    public int Inputs { get; } = PanelLayout.PadInputs(inputs);

    /// <summary>Panels of 32 outputs.</summary>
    public int PanelCount => PanelLayout.PanelCount(outputs);

    /// <summary>Bytes of a panel.</summary>
    public nint PanelBytes { get; } = PanelLayout.PanelBytes(format, PanelLayout.PadInputs(inputs));

    /// <summary>Bytes of the matrix.</summary>
    public nuint Bytes => SizeBytes(format, outputs, inputs);

    /// <summary>Bytes that a matrix [outputs, inputs] takes.</summary>
    public static nuint SizeBytes(WeightFormat format, int outputs, int inputs) =>
        (nuint)PanelLayout.PanelCount(outputs) * (nuint)PanelLayout.PanelBytes(format, PanelLayout.PadInputs(inputs));

    /// <summary>Where panel <paramref name="index"/> starts.</summary>
    public byte* Panel(int index) => block.Pointer + offset + (nuint)index * (nuint)PanelBytes;

    /// <summary>Packs one panel from 32 rows of f32 weights.</summary>
    /// <param name="index">The panel.</param>
    /// <param name="rows">[32, <see cref="Inputs"/>] f32, dense; rows and inputs beyond the matrix hold zeros.</param>
    public void PackPanel(int index, ReadOnlySpan<float> rows)
    {
        fixed (float* source = rows)
            WeightFormats.Of(format).Pack(source, Inputs, Panel(index));
    }

    /// <summary>Packs one panel from 32 rows of bf16 weights: exact where the matrix is of bf16 or f32, and fastest where it is of bf16.</summary>
    /// <param name="index">The panel.</param>
    /// <param name="rows">[32, <see cref="Inputs"/>] bf16, dense; rows and inputs beyond the matrix hold zeros.</param>
    public void PackPanelBf16(int index, ReadOnlySpan<ushort> rows)
    {
        if (format == WeightFormat.Bf16)
        {
            fixed (ushort* source = rows)
                PanelPacker.CopyBf16(source, Inputs, Panel(index));
            return;
        }

        float[] wide = ArrayPool<float>.Shared.Rent(rows.Length);
        Bf16.ToSingle(rows, wide.AsSpan(0, rows.Length));
        PackPanel(index, wide.AsSpan(0, rows.Length));
        ArrayPool<float>.Shared.Return(wide);
    }

    /// <summary>Packs one panel from that of another matrix: see <see cref="PanelConvert"/>.</summary>
    /// <param name="index">The panel, of both.</param>
    /// <param name="source">A matrix of the same outputs and inputs, of any format, in other memory.</param>
    /// <exception cref="ArgumentException">It has another shape.</exception>
    public void ConvertPanel(int index, PackedMatrix source)
    {
        if (source.Outputs != Outputs || source.Inputs != Inputs)
            throw new ArgumentException($"expected a matrix of [{Outputs}, {Inputs}], found [{source.Outputs}, {source.Inputs}]");
        PanelConvert.Run(source.Format, source.Panel(index), format, Panel(index), Inputs);
    }

    /// <summary>The same into int8, knowing the largest magnitude of each output.</summary>
    /// <param name="index">The panel, of both.</param>
    /// <param name="source">A matrix of the same outputs and inputs, not of int8.</param>
    /// <param name="largest">[32] by <see cref="FindLargest"/> of the source.</param>
    public void ConvertPanelInt8(int index, PackedMatrix source, float* largest) =>
        StepWriter.WriteInt8(new PanelSource(WeightFormats.Of(source.Format), source.Panel(index)), Inputs, largest, Panel(index));

    /// <summary>The largest magnitude of each output of a panel.</summary>
    /// <param name="index">The panel.</param>
    /// <param name="largest">Receives [32].</param>
    public void FindLargest(int index, float* largest) =>
        StepWriter.FindLargest(new PanelSource(WeightFormats.Of(format), Panel(index)), Inputs, largest);
}
