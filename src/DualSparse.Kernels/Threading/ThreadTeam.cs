using System.Diagnostics;

namespace DualSparse.Kernels.Threading;

/// <summary>
/// Threads that share the items of one loop at a time. The caller works too; a loop is over when its items are done, not when every
/// thread has woken, so a thread that the system delays costs its share of the work and no more.
/// </summary>
/// <remarks>
/// A thread that waits spins for a moment, since the next loop of a forward pass is mostly microseconds away, and then sleeps: an idle
/// team costs nothing, and a core that another process wants isn't held. Calls from several threads run one after another.
/// </remarks>
internal sealed class ThreadTeam : IDisposable
{
    // Longer than the gap between two loops of one forward pass, far shorter than a scheduler's slice.
    private static readonly long SpinTicks = Stopwatch.Frequency * 50 / 1_000_000;

    [ThreadStatic]
    private static ThreadTeam? runsLoopOf;

    private readonly Helper[] helpers;
    private readonly Sleeper caller = new();
    private readonly Lock oneLoop = new();
    private readonly LoopState state;
    private bool disposed;

    /// <summary>Starts <paramref name="threads"/> − 1 helpers; the caller of <see cref="For"/> is the remaining thread.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Fewer than one thread.</exception>
    public ThreadTeam(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        Size = threads;
        state = new LoopState(threads);
        helpers = new Helper[threads - 1];
        for (int i = 0; i < helpers.Length; i++)
        {
            int worker = i + 1;
            var thread = new Thread(() => Help(worker)) { IsBackground = true, Name = $"dualsparse-{worker}" };
            helpers[i] = new Helper(thread, new Sleeper());
        }

        foreach (var helper in helpers)
            helper.Thread.Start();
    }

    /// <summary>The threads that this process may really use: its affinity mask and its cgroup's quota are respected.</summary>
    public static int Available => Environment.ProcessorCount;

    /// <summary>Threads in the team, the caller included.</summary>
    public int Size { get; }

    /// <summary>Called by the caller of <see cref="For"/> after each item that it has done: what has to move on meanwhile; null: nothing.</summary>
    public Action? Between { get; set; }

    /// <summary>
    /// Calls <paramref name="body"/>(item, worker) for each item in 0…<paramref name="items"/>−1, each once, in any order, on any
    /// thread, though the one after a thread's last is mostly its next; worker is 0…<see cref="Size"/>−1 and names per-thread scratch. Returns when all are done; their writes are visible.
    /// </summary>
    /// <exception cref="AggregateException">A body threw: the items that had not begun are skipped.</exception>
    /// <exception cref="InvalidOperationException">Called by a body of the same team.</exception>
    /// <exception cref="ObjectDisposedException">The team has been disposed.</exception>
    public void For(int items, Action<int, int> body)
    {
        RefuseOwnBody();
        lock (oneLoop)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            if (items <= 0)
                return;
            state.Start(items, Between is { } between ? Followed(body, between) : body);
            for (int i = 0; i < Math.Min(helpers.Length, items - 1); i++)
                helpers[i].Sleeper.Wake();
            var outer = runsLoopOf;
            runsLoopOf = this;
            Work(worker: 0);
            runsLoopOf = outer;
            if (!SpinUntilDone())
                caller.SleepUntil(static state => state.Done, state);
            if (state.Finish() is { } failure)
                throw new AggregateException(failure);
        }
    }

    /// <summary>Stops the helpers and waits for them.</summary>
    /// <exception cref="InvalidOperationException">Called by a body of the same team.</exception>
    public void Dispose()
    {
        RefuseOwnBody();
        lock (oneLoop)
        {
            if (disposed)
                return;
            disposed = true;
            state.Close();
            foreach (var helper in helpers)
                helper.Sleeper.Wake();
            foreach (var helper in helpers)
                helper.Thread.Join();
            foreach (var helper in helpers)
                helper.Sleeper.Dispose();
            caller.Dispose();
        }
    }

    private static Action<int, int> Followed(Action<int, int> body, Action between) => (item, worker) =>
    {
        body(item, worker);
        if (worker == 0)
            between();
    };

    private void RefuseOwnBody()
    {
        if (runsLoopOf == this)
            throw new InvalidOperationException("a loop's body can't use the team that runs it");
    }

    private bool SpinUntilDone()
    {
        if (state.Done)
            return true;
        for (long start = Stopwatch.GetTimestamp(); Stopwatch.GetTimestamp() - start < SpinTicks;)
        {
            Thread.SpinWait(1);
            if (state.Done)
                return true;
        }

        return false;
    }

    private void Help(int worker)
    {
        runsLoopOf = this;
        var sleeper = helpers[worker - 1].Sleeper;
        for (int seen = 0; ;)
        {
            long start = Stopwatch.GetTimestamp();
            while (state.Epoch == seen)
            {
                if (Stopwatch.GetTimestamp() - start < SpinTicks)
                    Thread.SpinWait(1);
                else
                    sleeper.SleepUntil(static wait => wait.State.Epoch != wait.Seen, (State: state, Seen: seen));
            }

            seen = state.Epoch;
            if (state.Closed)
                return;
            Work(worker);
        }
    }

    private void Work(int worker)
    {
        if (state.Run(worker))
            caller.Wake();
    }

    private readonly record struct Helper(Thread Thread, Sleeper Sleeper);
}
