using DualSparse.Engine.Loading;
using DualSparse.Kernels.Memory;

namespace DualSparse.Tests.Engine.Loading;

[Collection("alone")]
public class MemoryBudgetTests
{
    [Fact]
    public void What_is_taken_is_no_longer_free()
    {
        const int taken = 512 << 20;
        long before = MemoryBudget.AvailableBytes();
        using var block = new AlignedBuffer(taken);
        block.AsSpan<byte>().Fill(1);
        // Half, since the rest of the machine takes and gives too; in a while, since a system's answer may be a second old.
        Assert.True(SpinWait.SpinUntil(() => MemoryBudget.AvailableBytes() < before - taken / 2, TimeSpan.FromSeconds(5)));
    }
}
