using System.Runtime.InteropServices;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;

namespace DualSparse.Distributed;

/// <summary>The first integers of a message.</summary>
/// <param name="Rows">Different rows that follow, each once, however many of the rank's experts want it.</param>
/// <param name="Pairs">Row-expert pairs.</param>
/// <param name="Experts">Experts that have rows.</param>
/// <param name="Bytes">Bytes of the whole message, this header included.</param>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct ShareHeader(int Rows, int Pairs, int Experts, int Bytes);

/// <summary>
/// One rank's rows of a layer as bytes: header, the rows of each expert, the row and weight of each pair, then the rows as the experts' kernel reads
/// them. The counts travel with the rows: a message of their own would cost a latency each layer.
/// </summary>
internal sealed unsafe class ShareMessage : IDisposable
{
    /// <summary>Bytes of the part that is sent first: whatever fits, goes in one message.</summary>
    public const int FirstPart = 64 << 10;

    private readonly ScratchBuffer buffer = new();
    private readonly List<int> rows = [];
    private int[] position = [];

    /// <summary>The bytes.</summary>
    public byte* Bytes { get; private set; }

    /// <summary>The header, once <see cref="Pack"/> or <see cref="Unpack"/> was called.</summary>
    public ShareHeader Header { get; private set; }

    /// <summary>The row of the pass that each row of the message is.</summary>
    public IReadOnlyList<int> RowsOfPass => rows;

    /// <summary>Makes room for a message and gives where it begins.</summary>
    public byte* Reserve(int bytes) => Bytes = (byte*)buffer.Floats((bytes + sizeof(float) - 1) / sizeof(float));

    /// <summary>Writes a rank's share.</summary>
    /// <param name="batch">Its rows by expert.</param>
    /// <param name="encoded">The pass's rows.</param>
    /// <param name="rowCount">How many there are.</param>
    /// <param name="inputs">D.</param>
    public void Pack(ExpertBatch batch, ActivationRows encoded, int rowCount, int inputs)
    {
        // Rows keep their order: what is added up of them does, too.
        if (position.Length < rowCount)
            position = new int[rowCount];
        Array.Clear(position, 0, rowCount);
        foreach (int row in batch.Tokens)
            position[row] = 1;
        rows.Clear();
        for (int row = 0; row < rowCount; row++)
        {
            if (position[row] == 0)
                continue;
            position[row] = rows.Count;
            rows.Add(row);
        }

        int pairs = batch.Tokens.Count, rowBytes = ActivationRows.WireBytes(encoded.Format, inputs);
        int bytes = checked(sizeof(ShareHeader) + batch.Experts.Count * sizeof(ExpertRows) + pairs * (sizeof(int) + sizeof(float)) + rows.Count * rowBytes);
        byte* at = Reserve(bytes);
        Header = *(ShareHeader*)at = new ShareHeader(rows.Count, pairs, batch.Experts.Count, bytes);
        at += sizeof(ShareHeader);
        foreach (var expert in batch.Experts)
        {
            *(ExpertRows*)at = expert;
            at += sizeof(ExpertRows);
        }

        foreach (int row in batch.Tokens)
        {
            *(int*)at = position[row];
            at += sizeof(int);
        }

        CollectionsMarshal.AsSpan(batch.Weights).CopyTo(new Span<float>(at, pairs));
        at += pairs * sizeof(float);
        foreach (int row in rows)
        {
            encoded.WriteTo(row, at);
            at += rowBytes;
        }
    }

    /// <summary>Reads a share that has come into <see cref="Bytes"/>.</summary>
    /// <param name="batch">Receives the rows by expert.</param>
    /// <param name="encoded">Receives the rows.</param>
    /// <param name="format">The form of the rows.</param>
    /// <param name="inputs">D.</param>
    public void Unpack(ExpertBatch batch, ActivationRows encoded, ActivationFormat format, int inputs)
    {
        Header = *(ShareHeader*)Bytes;
        byte* at = Bytes + sizeof(ShareHeader);
        batch.Clear();
        batch.Experts.AddRange(new ReadOnlySpan<ExpertRows>(at, Header.Experts));
        at += Header.Experts * sizeof(ExpertRows);
        batch.Tokens.AddRange(new ReadOnlySpan<int>(at, Header.Pairs));
        at += Header.Pairs * sizeof(int);
        batch.Weights.AddRange(new ReadOnlySpan<float>(at, Header.Pairs));
        at += Header.Pairs * sizeof(float);
        encoded.Reset(format, Header.Rows, inputs);
        int rowBytes = ActivationRows.WireBytes(format, inputs);
        for (int row = 0; row < Header.Rows; row++, at += rowBytes)
            encoded.ReadFrom(row, at);
    }

    /// <inheritdoc/>
    public void Dispose() => buffer.Dispose();
}
