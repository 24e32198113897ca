using System.Diagnostics;
using DualSparse.Distributed.Mpi;

namespace DualSparse.Distributed;

/// <summary>
/// The processes that run one model together. Messages are bytes between two ranks, begun here and waited for here: MPI's own waiting would hold
/// a core for milliseconds where ranks share one, and would wait for a lost peer for ever. One thread at a time.
/// </summary>
internal sealed unsafe class RankGroup : IDisposable
{
    // Quick answers come within some microseconds; then other ranks of this core get it, then others altogether.
    private const int SpinTests = 64;
    private static readonly TimeSpan YieldFor = TimeSpan.FromMilliseconds(2);
    private const uint SleepMicroseconds = 50;

    // Reading the clock costs as much as a test.
    private const int TestsPerClock = 32;

    // MPI_Abort asks the launcher, and can wait for ever where the way there is broken.
    private static readonly TimeSpan AbortPatience = TimeSpan.FromSeconds(2);

    private readonly MpiLibrary mpi;
    private bool aborted;

    private RankGroup(MpiLibrary mpi, TimeSpan peerTimeout)
    {
        this.mpi = mpi;
        (Rank, Size, PeerTimeout) = (mpi.Rank(), mpi.Size(), peerTimeout);
    }

    /// <summary>This process's rank, from 0.</summary>
    public int Rank { get; }

    /// <summary>Ranks.</summary>
    public int Size { get; }

    /// <summary>What the MPI library calls itself.</summary>
    public string Library => mpi.Version;

    /// <summary>How long a peer may be silent where something is expected of it.</summary>
    public TimeSpan PeerTimeout { get; }

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
    public RankMessage Send(int to, int tag, void* bytes, int count) => new(mpi, to, send: true, tag, bytes, count);

    /// <summary>Begins to receive.</summary>
    public RankMessage Receive(int from, int tag, void* bytes, int count) => new(mpi, from, send: false, tag, bytes, count);

    /// <summary>Waits until a message is done.</summary>
    /// <param name="message">Begun.</param>
    /// <param name="what">What it is part of, for the sentence about a lost peer; null: it may take as long as it likes.</param>
    /// <exception cref="PeerLostException">The peer was silent for <see cref="PeerTimeout"/>.</exception>
    public void Wait(RankMessage message, string? what)
    {
        long started = 0;
        for (int tests = 0; !message.Done(); tests++)
        {
            if (tests < SpinTests)
                continue;
            Thread.Yield();
            if (tests % TestsPerClock != 0)
                continue;
            if (started == 0)
                started = Stopwatch.GetTimestamp();
            var waited = Stopwatch.GetElapsedTime(started);
            if (waited > YieldFor)
                CLibrary.Sleep(SleepMicroseconds);
            if (what is not null && waited > PeerTimeout)
                throw new PeerLostException($"rank {Rank} ({Environment.MachineName}) has waited {waited.TotalSeconds:0} s for rank {message.Peer} in {what}: {PeerLostException.End}");
        }
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
        aborted = true;
        new Thread(() =>
        {
            Thread.Sleep(AbortPatience);
            CLibrary.Exit(code);
        })
        { IsBackground = true }.Start();
        mpi.Abort(code);
        CLibrary.Exit(code);
    }

    /// <summary>Leaves the group: all ranks do, and wait for each other.</summary>
    public void Dispose()
    {
        if (!aborted)
            mpi.Stop();
    }

    private static string Name(MpiKind kind) => kind == MpiKind.OpenMpi ? "Open MPI" : "MPICH";
}
