namespace DualSparse.Kernels.Threading;

/// <summary>
/// Threads that share the items of one loop at a time. The caller works too; a loop is over when its items are done, not when every
/// thread has woken, so a thread that the system keeps waiting costs its share of the work and no more.
/// </summary>
public sealed class ThreadTeam : IDisposable
{
    // About 20 µs: longer than the gap between two loops of one forward pass, far shorter than a scheduler's slice.
    private const int Spins = 400;
    private readonly Thread[] helpers;
    private readonly SemaphoreSlim wake = new(0);
    private readonly ManualResetEventSlim finished = new(false, 200);
    private readonly Lock oneLoop = new();
    private volatile Loop? current;
    private volatile bool closing;

    /// <summary>Starts <paramref name="threads"/> − 1 helpers; the caller of <see cref="For"/> is the remaining thread.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Fewer than one thread.</exception>
    public ThreadTeam(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        Size = threads;
        helpers = new Thread[threads - 1];
        for (int i = 0; i < helpers.Length; i++)
        {
            int worker = i + 1;
            helpers[i] = new Thread(() => Help(worker)) { IsBackground = true, Name = $"dualsparse-{worker}" };
            helpers[i].Start();
        }
    }

    /// <summary>The threads that this process may really use: its affinity mask and its cgroup's quota are respected.</summary>
    public static int Available => Environment.ProcessorCount;

    /// <summary>Threads in the team, the caller included.</summary>
    public int Size { get; }

    /// <summary>
    /// Calls <paramref name="body"/>(item, worker) for each item in 0…<paramref name="items"/>−1, each once, in any order, on any
    /// thread; worker is 0…<see cref="Size"/>−1 and names per-thread scratch. Returns when all are done; their writes are visible.
    /// </summary>
    /// <exception cref="AggregateException">A body threw: the remaining items are skipped.</exception>
    public void For(int items, Action<int, int> body)
    {
        if (items <= 0)
            return;
        if (items == 1 || helpers.Length == 0)
        {
            for (int i = 0; i < items; i++)
                body(i, 0);
            return;
        }

        lock (oneLoop)
        {
            ObjectDisposedException.ThrowIf(closing, this);
            var loop = new Loop(items, body, finished);
            finished.Reset();
            current = loop;
            wake.Release(Math.Min(helpers.Length, items - 1));
            loop.Work(0);
            finished.Wait();
            current = null;
            if (loop.Failure is { } failure)
                throw new AggregateException(failure);
        }
    }

    /// <summary>Stops the helpers and waits for them.</summary>
    public void Dispose()
    {
        lock (oneLoop)
        {
            if (closing)
                return;
            closing = true;
        }

        wake.Release(Math.Max(1, helpers.Length));
        foreach (var helper in helpers)
            helper.Join();
        wake.Dispose();
        finished.Dispose();
    }

    private void Help(int worker)
    {
        while (true)
        {
            var spinner = 0;
            while (!wake.Wait(0))
            {
                if (++spinner < Spins)
                {
                    Thread.SpinWait(10);
                    continue;
                }

                wake.Wait();
                break;
            }

            if (closing)
                return;
            current?.Work(worker);
        }
    }

    private sealed class Loop(int items, Action<int, int> body, ManualResetEventSlim finished)
    {
        private int next;
        private int done;

        public Exception? Failure { get; private set; }

        public void Work(int worker)
        {
            int mine = 0;
            for (int item; (item = Interlocked.Increment(ref next) - 1) < items; mine++)
            {
                if (Failure is not null)
                    continue;
                try
                {
                    body(item, worker);
                }
                catch (Exception e)
                {
                    Failure = e;
                }
            }

            if (mine > 0 && Interlocked.Add(ref done, mine) == items)
                finished.Set();
        }
    }
}
