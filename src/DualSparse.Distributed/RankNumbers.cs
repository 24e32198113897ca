using System.Runtime.InteropServices;

namespace DualSparse.Distributed;

/// <summary>A few numbers that every rank gives to all.</summary>
internal static unsafe class RankNumbers
{
    /// <summary>Everybody's numbers, by rank; all call it together, with as many.</summary>
    /// <exception cref="Mpi.PeerLostException">A rank is lost.</exception>
    public static double[][] Share(RankGroup group, double[] own)
    {
        double[][] all = [.. Enumerable.Range(0, group.Size).Select(rank => rank == group.Rank ? own : GC.AllocateArray<double>(own.Length, pinned: true))];
        double[] mine = GC.AllocateArray<double>(own.Length, pinned: true);
        own.CopyTo(mine, 0);
        List<RankMessage> messages = [];
        int bytes = own.Length * sizeof(double);
        for (int rank = 0; rank < group.Size; rank++)
        {
            if (rank == group.Rank)
                continue;
            messages.Add(group.Receive(rank, RankTag.Schedule, (void*)Marshal.UnsafeAddrOfPinnedArrayElement(all[rank], 0), bytes));
            messages.Add(group.Send(rank, RankTag.Schedule, (void*)Marshal.UnsafeAddrOfPinnedArrayElement(mine, 0), bytes));
        }

        group.WaitAll(messages, "the schedule");
        return all;
    }
}
