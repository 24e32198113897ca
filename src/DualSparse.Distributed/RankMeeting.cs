using System.Runtime.InteropServices;
using DualSparse.Engine;
using DualSparse.Engine.Ranks;

namespace DualSparse.Distributed;

/// <summary>How ranks meet in a pass: by sums of their parts where every rank has all rows (slices), else by rows that go to their experts.</summary>
internal sealed class RankMeeting : IDisposable
{
    private readonly RankCollective? collective;

    /// <summary>For a placement.</summary>
    public RankMeeting(RankGroup group, EngineOptions options)
    {
        if (options.TrunkParts > 1)
            collective = new RankCollective(group);
        else
            Exchange = new AllToAllExchange(group);
        Peers = new RankPeers
        {
            Collective = collective,
            Exchange = Exchange,
            RowsOfPass = Exchange is null ? null : () => Exchange.RowsOfPass,
            Share = Exchange is null ? null : own => Share(group, own),
        };
    }

    /// <summary>What the engine sees of it.</summary>
    public RankPeers Peers { get; }

    /// <summary>The exchange of rows; null: every rank has all of them.</summary>
    public AllToAllExchange? Exchange { get; }

    // Everybody to everybody: a few numbers.
    private static unsafe double[][] Share(RankGroup group, double[] own)
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

    /// <inheritdoc/>
    public void Dispose()
    {
        collective?.Dispose();
        Exchange?.Dispose();
    }
}
