using System.Runtime.InteropServices;

namespace DualSparse.Kernels.Threading;

/// <summary>The loop that a team runs at the moment: its items, and how many are taken and done.</summary>
/// <remarks>
/// Each worker has its own run of items, so that one item's memory mostly follows the last one's, which suits the processor's prefetchers.
/// A worker that finishes its run helps with the others'.
/// </remarks>
internal sealed class LoopState(int workers)
{
    // Integers from one worker's counter to the next's: two cache lines, see Counters.
    private const int Stride = 32;

    // Items of each worker's run that no thread has taken; below zero when more than all were asked for.
    private readonly int[] untaken = new int[(workers + 1) * Stride];
    private Action<int, int>? body;
    private int items;
    private Exception? failure;
    private Counters counters;

    /// <summary>Changes with each loop.</summary>
    public int Epoch => Volatile.Read(ref counters.Epoch);

    /// <summary>True once there will be no more loops.</summary>
    public bool Closed { get; private set; }

    /// <summary>True when every item of the loop is done.</summary>
    public bool Done => Volatile.Read(ref counters.Unfinished) == 0;

    /// <summary>Opens a loop. The one before is done.</summary>
    public void Start(int items, Action<int, int> body)
    {
        this.items = items;
        this.body = body;
        counters.Unfinished = items;
        // From here on a late thread of the previous loop may take items too, which does no harm.
        for (int run = 0; run < workers; run++)
            Volatile.Write(ref Untaken(run), First(run + 1) - First(run));
        Interlocked.Increment(ref counters.Epoch);
    }

    /// <summary>Takes items until none is left. True for the thread that finished the last one.</summary>
    public bool Run(int worker)
    {
        int mine = 0;
        for (int i = 0; i < workers; i++)
            mine += TakeFrom((worker + i) % workers, worker);
        return mine > 0 && Interlocked.Add(ref counters.Unfinished, -mine) == 0;
    }

    /// <summary>Forgets the loop, which is done; returns what a body threw.</summary>
    public Exception? Finish()
    {
        body = null;
        return Interlocked.Exchange(ref failure, null);
    }

    /// <summary>No more loops.</summary>
    public void Close()
    {
        Closed = true;
        Interlocked.Increment(ref counters.Epoch);
    }

    // A thread that takes an item keeps the loop open until the item is counted, so body and items belong to this loop.
    private int TakeFrom(int run, int worker)
    {
        int taken = 0;
        ref int left = ref Untaken(run);
        for (int after; Volatile.Read(ref left) > 0 && (after = Interlocked.Decrement(ref left)) >= 0; taken++)
        {
            if (Volatile.Read(ref failure) is not null)
                continue;
            try
            {
                body!(First(run + 1) - 1 - after, worker);
            }
            catch (Exception e)
            {
                Interlocked.CompareExchange(ref failure, e, null);
            }
        }

        return taken;
    }

    private int First(int run) => (int)((long)items * run / workers);

    private ref int Untaken(int run) => ref untaken[(run + 1) * Stride];

    // Two cache lines apart, since processors fetch lines in pairs: spinning on one must not slow counting on another.
    [StructLayout(LayoutKind.Explicit, Size = 384)]
    private struct Counters
    {
        [FieldOffset(128)]
        public int Epoch;

        [FieldOffset(256)]
        public int Unfinished;
    }
}
