using System.Runtime.CompilerServices;
using DualSparse.Kernels;

namespace DualSparse.Tests.Kernels;

public class SignalStackTests
{
    [Fact]
    public void A_thread_gets_a_large_one_and_its_faults_are_still_exceptions()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("signal stacks are Linux's");
        nuint before = 0, after = 0, again = 0;
        Exception? thrown = null;
        var thread = new Thread(() =>
        {
            before = SignalStack.Size();
            SignalStack.Ensure();
            after = SignalStack.Size();
            thrown = Record.Exception(() => LengthOf(null!));
            SignalStack.Ensure();
            again = SignalStack.Size();
        });
        thread.Start();
        thread.Join();
        Assert.InRange(before, (nuint)1, SignalStack.Bytes);
        Assert.Equal((SignalStack.Bytes, SignalStack.Bytes), (after, again));
        Assert.IsType<NullReferenceException>(thrown);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int LengthOf(int[] values) => values.Length;
}
