using DualSparse.Kernels.Memory;

namespace DualSparse.Distributed.Measuring;

/// <summary>Rows of equal length in native memory, which messages are sent from and received in.</summary>
/// <param name="rowBytes">Bytes of a row.</param>
/// <param name="rows">Rows.</param>
internal sealed unsafe class RowBuffer(int rowBytes, long rows) : IDisposable
{
    // As bf16 and as f32 it is a NaN, as an integer no expert.
    private const byte Nothing = 0xFF;

    private readonly AlignedBuffer memory = new((nuint)(rowBytes * rows));

    /// <summary>A row's bytes.</summary>
    public Span<byte> this[long row] => new(memory.Pointer + row * rowBytes, rowBytes);

    /// <summary>Some rows on their way to or from a rank, in its turn; none where there are none.</summary>
    public IEnumerable<Transfer> Block(int peer, int step, long first, long count) => count == 0 ? [] : [new(peer, step, Address(first), checked((int)(count * rowBytes)))];

    /// <summary>Fills all rows with what is no number: what doesn't arrive shows.</summary>
    public void Poison()
    {
        for (long row = 0; row < rows; row++)
            this[row].Fill(Nothing);
    }

    /// <inheritdoc/>
    public void Dispose() => memory.Dispose();

    private nint Address(long row) => (nint)(memory.Pointer + row * rowBytes);
}
