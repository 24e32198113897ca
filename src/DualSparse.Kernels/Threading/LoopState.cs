using System.Runtime.InteropServices;

namespace DualSparse.Kernels.Threading;

/// <summary>The loop that a team runs at the moment: its items, and how many are taken and done.</summary>
internal sealed class LoopState
{
    private Action<int, int>? body;
    private int items;
    private Exception? failure;
    private Counters counters;

    /// <summary>Changes with each loop.</summary>
    public int Generation => Volatile.Read(ref counters.Generation);

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
        // From here on a thread that is late from the loop before may take items too, which is as good.
        Volatile.Write(ref counters.Untaken, items);
        Interlocked.Increment(ref counters.Generation);
    }

    /// <summary>Takes items until none is left. True for the thread that finished the last one.</summary>
    public bool Run(int worker)
    {
        int mine = 0;
        // Whoever takes an item keeps the loop open until it has been counted, so body and items belong to this loop.
        for (int untaken; (untaken = Interlocked.Decrement(ref counters.Untaken)) >= 0; mine++)
        {
            if (Volatile.Read(ref failure) is not null)
                continue;
            try
            {
                body!(items - 1 - untaken, worker);
            }
            catch (Exception e)
            {
                Interlocked.CompareExchange(ref failure, e, null);
            }
        }

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
        Interlocked.Increment(ref counters.Generation);
    }

    // Apart by two cache lines, since processors fetch them in pairs: who spins on one must not slow who counts on another.
    [StructLayout(LayoutKind.Explicit, Size = 512)]
    private struct Counters
    {
        [FieldOffset(128)]
        public int Generation;

        [FieldOffset(256)]
        public int Untaken;

        [FieldOffset(384)]
        public int Unfinished;
    }
}
