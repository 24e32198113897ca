using System.Buffers;

namespace DualSparse.Models.Pictures;

/// <summary>Memory for a decoder: as much as a picture needs, whatever the rest of its file claims.</summary>
/// <param name="most">Bytes at a time.</param>
internal sealed class BoundedPool(long most) : MemoryPool<byte>
{
    /// <inheritdoc/>
    public override int MaxBufferSize => (int)Math.Min(most, Array.MaxLength);

    /// <inheritdoc/>
    /// <exception cref="ArgumentOutOfRangeException">More is asked for.</exception>
    public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(minBufferSize, MaxBufferSize);
        return new Owner(new byte[Math.Max(minBufferSize, 0)]);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        // What was rented is its renter's.
    }

    private sealed record Owner(byte[] Bytes) : IMemoryOwner<byte>
    {
        public Memory<byte> Memory => Bytes;

        public void Dispose()
        {
            // The collector has it.
        }
    }
}
