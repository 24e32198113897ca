using DualSparse.Kernels.Memory;

namespace DualSparse.Tests.Kernels.Memory;

public unsafe class AlignedBufferTests
{
    [Theory]
    [InlineData(0, 64)]
    [InlineData(1, 64)]
    [InlineData(65, 64)]
    [InlineData((2 << 20) - 1, 64)]
    [InlineData(2 << 20, 64)]
    [InlineData((4 << 20) + 1, 64)]
    public void Blocks_are_aligned_and_whole(int bytes, int alignment)
    {
        using var buffer = new AlignedBuffer((nuint)bytes);
        Assert.Equal(0u, (nuint)buffer.Pointer % (nuint)alignment);
        var span = buffer.AsSpan<byte>();
        span.Fill(7);
        Assert.Equal(bytes, span.Length);
        Assert.Equal(-1, span.IndexOfAnyExcept((byte)7));
        if (OperatingSystem.IsLinux() && bytes >= 2 << 20)
            Assert.Equal(0u, (nuint)buffer.Pointer % (2 << 20));
    }

    [Fact]
    public void A_freed_block_refuses_to_be_used()
    {
        var buffer = new AlignedBuffer(4 << 20);
        buffer.Dispose();
        buffer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => buffer.AsSpan<byte>().Length);
    }

    [Fact]
    public void More_than_there_is_is_an_exception() =>
        Assert.Throws<OutOfMemoryException>(() => new AlignedBuffer((nuint)1 << 60));
}
