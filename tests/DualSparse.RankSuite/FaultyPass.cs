using DualSparse.Distributed;
using DualSparse.Engine;

namespace DualSparse.RankSuite;

/// <summary>A pass that fails on one rank; where it is the first, its caller takes no notice and goes on.</summary>
internal static class FaultyPass
{
    /// <summary>This rank's part.</summary>
    /// <param name="group">The ranks.</param>
    /// <param name="folder">The model.</param>
    /// <param name="faulty">The rank.</param>
    public static void Run(RankGroup group, string folder, int faulty)
    {
        var options = new RankPlacement(group.Size, group.Size, "").Apply(new EngineOptions { Threads = 1 }) with { Rank = group.Rank };
        using var meeting = new RankMeeting(group, options);
        var peers = group.Rank == faulty ? meeting.Peers with { Collective = new FaultyCollective(meeting.Peers.Collective!) } : meeting.Peers;
        if (group.Rank != 0)
        {
            using var part = Transformer.Load(folder, options with { Peers = peers });
            Handshake.TellLoaded(group, null);
            using var follower = new PassFollower(group, part, meeting.Exchange);
            follower.Run();
            return;
        }

        var leader = new PassLeader(group, meeting.Exchange);
        using var model = Transformer.Load(folder, options with { Peers = peers with { Leader = leader } });
        using var cache = model.NewCache(8);
        for (int pass = 0; pass < 3; pass++)
        {
            try
            {
                model.Forward(cache, [pass]);
            }
            catch (Exception e) when (e is NullReferenceException or InvalidOperationException)
            {
                Console.WriteLine($"{e.GetType().Name}: {e.Message}");
            }
        }

        leader.End();
    }
}
