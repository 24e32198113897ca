using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Gemm;

/// <summary>
/// Rows of activations in the form a kernel reads: [rows, inputs], each row padded with zeros to a multiple of 64 inputs,
/// with its scale and its sums if the form is an integer one. The memory grows as needed and is reused.
/// </summary>
internal sealed unsafe class ActivationRows : IDisposable
{
    private AlignedBuffer values = new(0);
    private AlignedBuffer scales = new(0);
    private AlignedBuffer sums = new(0);

    /// <summary>The form of the rows.</summary>
    public ActivationFormat Format { get; private set; }

    /// <summary>Inputs of a row, padding included: a multiple of 64.</summary>
    public int Inputs { get; private set; }

    /// <summary>The number of rows that there is room for.</summary>
    public int RowCount { get; private set; }

    /// <summary>Bytes from one row to the next.</summary>
    public nint RowBytes { get; private set; }

    private int SumStride => 1 + Inputs / PanelLayout.GroupInputs;

    /// <summary>Makes room for <paramref name="rows"/> rows; previous contents are lost.</summary>
    public void Reset(ActivationFormat format, int rows, int inputs)
    {
        Format = format;
        Inputs = PanelLayout.PadInputs(inputs);
        RowCount = rows;
        // A cache line more than the data: rows a multiple of 4 KiB apart would share one set of the first-level cache.
        RowBytes = (nint)Inputs * ElementBytes(format) + 64;
        int readable = rows + PanelLayout.RowAlignment;
        Grow(ref values, (nuint)readable * (nuint)RowBytes);
        if (format is ActivationFormat.Int8 or ActivationFormat.Int16)
        {
            Grow(ref scales, (nuint)readable * sizeof(float));
            Grow(ref sums, (nuint)readable * (nuint)SumStride * sizeof(int));
        }

        Poison();
    }

    // Debug builds make reading lost contents visible. All bits set are a NaN in f32 and bf16.
    [System.Diagnostics.Conditional("DEBUG")]
    private void Poison() => System.Runtime.InteropServices.NativeMemory.Fill(values.Pointer, (nuint)RowCount * (nuint)RowBytes, 0xff);

    /// <summary>Where row <paramref name="row"/> starts.</summary>
    public byte* Row(int row) => values.Pointer + row * RowBytes;

    /// <summary>Converts <paramref name="source"/> into a row, zeros after it up to <see cref="Inputs"/>.</summary>
    public void Encode(int row, ReadOnlySpan<float> source) =>
        RowEncoder.Encode(Format, source, Inputs, Row(row), Scale(row), Sums(row));

    /// <summary>Copies a row of <paramref name="source"/>, which has the same format and width.</summary>
    public void Copy(int row, ActivationRows source, int sourceRow)
    {
        Buffer.MemoryCopy(source.Row(sourceRow), Row(row), RowBytes, source.RowBytes - 64);
        if (Format is ActivationFormat.Int8 or ActivationFormat.Int16)
        {
            *Scale(row) = *source.Scale(sourceRow);
            Buffer.MemoryCopy(source.Sums(sourceRow), Sums(row), SumStride * sizeof(int), SumStride * sizeof(int));
        }
    }

    /// <summary>Bytes of one row on its way to another process: its values, then its scale and sums where the form has them.</summary>
    public static int WireBytes(ActivationFormat format, int inputs)
    {
        int padded = PanelLayout.PadInputs(inputs);
        return padded * ElementBytes(format) + (format is ActivationFormat.Int8 or ActivationFormat.Int16 ? sizeof(float) + (1 + padded / PanelLayout.GroupInputs) * sizeof(int) : 0);
    }

    /// <summary>Writes a row for another process: <see cref="WireBytes"/> bytes.</summary>
    public void WriteTo(int row, byte* wire)
    {
        nint values = RowBytes - 64;
        Buffer.MemoryCopy(Row(row), wire, values, values);
        if (Format is ActivationFormat.Int8 or ActivationFormat.Int16)
        {
            *(float*)(wire + values) = *Scale(row);
            Buffer.MemoryCopy(Sums(row), wire + values + sizeof(float), SumStride * sizeof(int), SumStride * sizeof(int));
        }
    }

    /// <summary>Reads a row that another process wrote, of this format and width.</summary>
    public void ReadFrom(int row, byte* wire)
    {
        nint values = RowBytes - 64;
        Buffer.MemoryCopy(wire, Row(row), values, values);
        if (Format is ActivationFormat.Int8 or ActivationFormat.Int16)
        {
            *Scale(row) = *(float*)(wire + values);
            Buffer.MemoryCopy(wire + values + sizeof(float), Sums(row), SumStride * sizeof(int), SumStride * sizeof(int));
        }
    }

    /// <summary>What a kernel needs to read rows from <paramref name="firstRow"/> on over the first <paramref name="inputs"/> inputs.</summary>
    /// <remarks>An int8 product needs the sum over exactly these inputs: a row that is read by a prefix is encoded by that prefix.</remarks>
    public PanelArgs Args(WeightFormat weights, int firstRow, int rows, int inputs) => new()
    {
        Rows = Row(firstRow),
        RowBytes = RowBytes,
        RowScales = Scale(firstRow),
        RowSums = Sums(firstRow) is var first && first is not null && weights == WeightFormat.Int4 ? first + 1 : first,
        RowSumStride = SumStride,
        RowCount = rows,
        Inputs = inputs,
        PanelCount = 1,
    };

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        values.Dispose();
        scales.Dispose();
        sums.Dispose();
    }

    private float* Scale(int row) => scales.Bytes == 0 ? null : (float*)scales.Pointer + row;

    // The sum of the row, then the sums of its groups of 32.
    private int* Sums(int row) => sums.Bytes == 0 ? null : (int*)sums.Pointer + (nint)row * SumStride;

    private static int ElementBytes(ActivationFormat format) => format switch
    {
        ActivationFormat.F32 => 4,
        ActivationFormat.Bf16 or ActivationFormat.Int16 => 2,
        _ => 1,
    };

    private static void Grow(ref AlignedBuffer buffer, nuint bytes)
    {
        if (buffer.Bytes >= bytes)
            return;
        // If the allocation fails, the buffer is left empty.
        buffer.Dispose();
        buffer = new AlignedBuffer(0);
        var grown = new AlignedBuffer(bytes + bytes / 4);
        buffer.Dispose();
        buffer = grown;
        // Padding rows are multiplied, never used: zeroed once, so that no uninitialised NaN or denormal slows the product.
        System.Runtime.InteropServices.NativeMemory.Clear(buffer.Pointer, buffer.Bytes);
    }
}
