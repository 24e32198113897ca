using System.Diagnostics;
using DualSparse.Distributed.Mpi;

namespace DualSparse.Distributed;

/// <summary>
/// The processes that run one model together. Messages are bytes between two ranks, begun here and waited for here: MPI's own waiting would hold
/// a core for milliseconds where ranks share one, and would wait for a lost peer for ever. One thread at a time, beside the pulse.
/// </summary>
internal sealed unsafe class RankGroup
{
    // Quick answers come within some microseconds; then other ranks of this core get it, then others altogether.
    private const int SpinTests = 64;
    private static readonly TimeSpan YieldFor = TimeSpan.FromMilliseconds(2);
    private const uint SleepMicroseconds = 50;

    // A rank that has waited for so long has no pass to hurry for: it leaves the core to others.
    private static readonly TimeSpan IdleAfter = TimeSpan.FromMilliseconds(50);
    private const uint IdleMicroseconds = 1000;

    // Reading the clock costs as much as a test.
    private const int TestsPerClock = 32;

    // A wait that looks at the clock so late was no wait: this process had stopped, or the whole machine, and its peer may have too.
    private static readonly TimeSpan Absence = TimeSpan.FromSeconds(1);

    // MPI_Abort asks the launcher, and can wait for ever where the way there is broken.
    private static readonly TimeSpan AbortPatience = TimeSpan.FromSeconds(2);

    private readonly MpiLibrary mpi;
    private RankPulse? pulse;

    private RankGroup(MpiLibrary mpi, TimeSpan peerTimeout)
    {
        this.mpi = mpi;
        (Rank, Size, PeerTimeout) = (mpi.Rank(), mpi.Size(), peerTimeout);
    }

    /// <summary>This process's rank, from 0.</summary>
    public int Rank { get; }

    /// <summary>Ranks.</summary>
    public int Size { get; }

    /// <summary>Each rank's host, by <see cref="Meet"/>; empty until then.</summary>
    public IReadOnlyList<string> Hosts { get; private set; } = [];

    /// <summary>What the MPI library calls itself.</summary>
    public string Library => mpi.Version;

    /// <summary>How long a peer may be silent where something is expected of it.</summary>
    public TimeSpan PeerTimeout { get; }

    /// <summary>Bytes of all messages that this rank has sent, but for those that say that it is there.</summary>
    public long SentBytes { get; private set; }

    /// <summary>Is told when each wait began and ended, in ticks of <see cref="Stopwatch"/>; null: nobody asks, and no clock is read for it.</summary>
    public Action<long, long>? Waited { get; set; }

    /// <summary>Called again and again while this waits: what has to move on meanwhile; null: nothing.</summary>
    public Action? Between { get; set; }

    /// <summary>The group that a launcher has started this process in.</summary>
    /// <param name="peerTimeout">See <see cref="PeerTimeout"/>.</param>
    /// <exception cref="MpiException">There is no MPI library, or not the launcher's.</exception>
    public static RankGroup Join(TimeSpan peerTimeout)
    {
        var launch = MpiLaunch.Current;
        var mpi = MpiLibrary.Load();
        mpi.Start();
        var group = new RankGroup(mpi, peerTimeout);
        // Of a launcher that the library doesn't know, each process thinks that it is alone.
        if (launch is not null && launch.Size != group.Size)
            throw new MpiException($"{launch.Size} processes were started by {Name(launch.Kind)}'s launcher, but the library bound is {mpi.Version} and sees {group.Size}: start with that library's own mpirun, or name the launcher's library by {MpiLibrary.Variable}");
        return group;
    }

    /// <summary>Begins to send; the bytes stay where they are until the message is done.</summary>
    public RankMessage Send(int to, int tag, void* bytes, int count)
    {
        // A pulse comes from another thread, and belongs to nothing that is counted.
        if (tag != RankTag.Pulse)
            SentBytes += count;
        return new(mpi, to, send: true, tag, bytes, count);
    }

    /// <summary>Begins to receive.</summary>
    public RankMessage Receive(int from, int tag, void* bytes, int count) => new(mpi, from, send: false, tag, bytes, count);

    /// <summary>Waits until a message is done.</summary>
    /// <param name="message">Begun.</param>
    /// <param name="what">What it is part of, for the sentence about a lost peer; null: what may take as long as the peer shows that it is there.</param>
    /// <exception cref="PeerLostException">The peer was silent for <see cref="PeerTimeout"/>.</exception>
    public void Wait(RankMessage message, string? what)
    {
        long began = Waited is null ? 0 : Stopwatch.GetTimestamp(), started = 0, looked = 0;
        for (int tests = 0; !message.Done(); tests++)
        {
            Between?.Invoke();
            if (tests < SpinTests)
                continue;
            Thread.Yield();
            if (tests % TestsPerClock != 0)
                continue;
            long now = Stopwatch.GetTimestamp();
            if (started == 0 || Stopwatch.GetElapsedTime(looked, now) > Absence)
                started = now;
            looked = now;
            var waited = Stopwatch.GetElapsedTime(started, now);
            if (waited > YieldFor)
                CLibrary.Sleep(waited > IdleAfter ? IdleMicroseconds : SleepMicroseconds);
            // One that may take its time has to say that it is there; before the ranks have met none can.
            var silent = what is not null ? waited : pulse is null ? TimeSpan.Zero : Stopwatch.GetElapsedTime(Math.Max(started, pulse.LastHeard(message.Peer)), now);
            if (silent > PeerTimeout)
                throw new PeerLostException(Sentence(silent, Name(message.Peer), what ?? "what comes next"));
        }

        Waited?.Invoke(began, Stopwatch.GetTimestamp());
    }

    /// <summary>What all ranks do once they have met: from here on each knows the others' hosts, and whether rank 0 or they are there.</summary>
    public void Meet(IReadOnlyList<string> hosts)
    {
        Hosts = hosts;
        pulse = new RankPulse(this);
    }

    /// <summary>Leaves the group: all ranks do, and wait for each other.</summary>
    /// <param name="lost">Is told, from another thread, where one of them doesn't; then this process ends.</param>
    /// <exception cref="PeerLostException">One is lost.</exception>
    public void Leave(Action<Exception> lost)
    {
        pulse?.End();
        // MPI's own waiting has no end where a rank has none.
        using var left = new ManualResetEventSlim();
        var watch = new Thread(() =>
        {
            if (left.Wait(PeerTimeout))
                return;
            lost(new PeerLostException(Sentence(PeerTimeout, "the others", "MPI_Finalize")));
            CLibrary.Exit(PeerLostException.ExitCode);
        })
        { IsBackground = true };
        watch.Start();
        mpi.Stop();
        left.Set();
        watch.Join();
    }

    /// <summary>Waits until messages are done, and frees them.</summary>
    /// <param name="messages">Begun; empty afterwards.</param>
    /// <param name="what">As for <see cref="Wait"/>.</param>
    /// <exception cref="PeerLostException">A peer was silent for <see cref="PeerTimeout"/>.</exception>
    public void WaitAll(List<RankMessage> messages, string? what)
    {
        foreach (var message in messages)
        {
            Wait(message, what);
            message.Dispose();
        }

        messages.Clear();
    }

    /// <summary>Ends all ranks with an exit code, this one too, whether or not the launcher can be reached. Doesn't come back.</summary>
    public void Abort(int code)
    {
        pulse?.Stop();
        new Thread(() =>
        {
            Thread.Sleep(AbortPatience);
            CLibrary.Exit(code);
        })
        { IsBackground = true }.Start();
        mpi.Abort(code);
        CLibrary.Exit(code);
    }

    private string Sentence(TimeSpan waited, string whom, string what) =>
        $"rank {Rank} ({Environment.MachineName}) has waited {waited.TotalSeconds:0} s for {whom} in {what}: {PeerLostException.End}";

    private string Name(int rank) => rank < Hosts.Count ? $"rank {rank} ({Hosts[rank]})" : $"rank {rank}";

    private static string Name(MpiKind kind) => kind == MpiKind.OpenMpi ? "Open MPI" : "MPICH";
}
