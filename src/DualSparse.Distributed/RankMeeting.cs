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
            Share = Exchange is null ? null : own => RankNumbers.Share(group, own),
        };
    }

    /// <summary>What the engine sees of it.</summary>
    public RankPeers Peers { get; }

    /// <summary>The exchange of rows; null: every rank has all of them.</summary>
    public AllToAllExchange? Exchange { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        collective?.Dispose();
        Exchange?.Dispose();
    }
}
