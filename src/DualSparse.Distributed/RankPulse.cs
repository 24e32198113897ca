using System.Diagnostics;
using System.Runtime.InteropServices;
using DualSparse.Distributed.Mpi;

namespace DualSparse.Distributed;

/// <summary>
/// Rank 0 and each other rank tell each other, several times within the time that a peer may be silent, that they are there. A rank waits for the next
/// pass however long the user of rank 0 thinks, and rank 0 for the others to load: without this sign a host that is cut off, or a process that has
/// stopped, would be waited for without end.
/// </summary>
internal sealed unsafe class RankPulse
{
    private const byte Alive = 1, Last = 2;

    // On a busy machine some may be late without an alarm.
    private const int BeatsPerTimeout = 5;

    private readonly RankGroup group;
    private readonly ManualResetEventSlim stop = new();
    private readonly Partner[] partners;
    private readonly Thread beating;

    /// <summary>Begins it, on every rank.</summary>
    public RankPulse(RankGroup group)
    {
        this.group = group;
        partners = group.Rank == 0 ? [.. Enumerable.Range(1, group.Size - 1).Select(rank => new Partner(group, rank))] : [new Partner(group, 0)];
        beating = new Thread(Beat) { IsBackground = true, Name = "pulse" };
        beating.Start();
    }

    /// <summary>When a rank was last heard of, as <see cref="Stopwatch.GetTimestamp"/>; of one that this rank doesn't hear of: now.</summary>
    public long LastHeard(int rank) => Array.Find(partners, p => p.Rank == rank) is { } partner ? Volatile.Read(ref partner.Heard) : Stopwatch.GetTimestamp();

    /// <summary>Stops it where the ranks are about to be ended.</summary>
    public void Stop() => stop.Set();

    /// <summary>Ends it on every rank, so that nothing of it is under way when MPI ends.</summary>
    /// <exception cref="PeerLostException">A rank is lost.</exception>
    public void End()
    {
        stop.Set();
        beating.Join();
        Array.ForEach(partners, partner => partner.SayLast(group));
        Array.ForEach(partners, partner => partner.HearLast(group));
    }

    private void Beat()
    {
        try
        {
            while (!stop.Wait(group.PeerTimeout / BeatsPerTimeout))
                Array.ForEach(partners, partner => partner.Beat(group));
        }
        catch (MpiException)
        {
            // The others will miss it; what this rank does meanwhile finds the same.
        }
    }

    /// <summary>One of the two directions each way, of a pair.</summary>
    private sealed class Partner
    {
        private const string What = "the end";

        // What comes, what goes, and what goes last.
        private readonly byte* cells = (byte*)NativeMemory.AllocZeroed(3);
        private RankMessage? sent;
        private RankMessage next;

        public Partner(RankGroup group, int rank)
        {
            Rank = rank;
            (cells[1], cells[2]) = (Alive, Last);
            Heard = Stopwatch.GetTimestamp();
            next = group.Receive(rank, RankTag.Pulse, cells, 1);
        }

        public int Rank { get; }

        public long Heard;

        public void Beat(RankGroup group)
        {
            while (next.Done() && cells[0] == Alive)
            {
                Volatile.Write(ref Heard, Stopwatch.GetTimestamp());
                Listen(group);
            }

            // Where the last one hasn't gone yet another wouldn't either.
            if (sent?.Done() == false)
                return;
            sent?.Dispose();
            sent = group.Send(Rank, RankTag.Pulse, cells + 1, 1);
        }

        public void SayLast(RankGroup group)
        {
            if (sent is not null)
                group.Wait(sent, What);
            sent?.Dispose();
            sent = group.Send(Rank, RankTag.Pulse, cells + 2, 1);
        }

        public void HearLast(RankGroup group)
        {
            for (group.Wait(next, What); cells[0] == Alive; group.Wait(next, What))
                Listen(group);
            group.Wait(sent!, What);
            next.Dispose();
            sent!.Dispose();
            NativeMemory.Free(cells);
        }

        private void Listen(RankGroup group)
        {
            next.Dispose();
            next = group.Receive(Rank, RankTag.Pulse, cells, 1);
        }
    }
}
