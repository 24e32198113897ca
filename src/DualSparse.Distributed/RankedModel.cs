using DualSparse.Distributed.Mpi;
using DualSparse.Engine;

namespace DualSparse.Distributed;

/// <summary>
/// One model over several processes, which all run the passes of rank 0: with their parts of all weights (slices), or each on its own sequences with
/// rows going to the ranks of their experts.
/// </summary>
internal static class RankedModel
{
    /// <summary>Runs what is to be done with the model on rank 0; the other ranks run its passes meanwhile.</summary>
    /// <param name="group">The ranks.</param>
    /// <param name="folder">Gives the model's folder.</param>
    /// <param name="options">Weights, threads, kernels.</param>
    /// <param name="how">How experts are placed; null: what suits the model.</param>
    /// <param name="lead">What is to be done: it loads the model with the options it is given, and is told the placement.</param>
    /// <returns>Rank 0: what <paramref name="lead"/> returned. Another: 0 once rank 0 has ended, 1 where the ranks didn't go on and rank 0 says why.</returns>
    /// <exception cref="MpiException">A rank can't take part, or was lost.</exception>
    public static int Run(RankGroup group, Func<string> folder, EngineOptions options, PlacementKind? how, Func<EngineOptions, RankPlacement, int> lead)
    {
        if (group.Rank != 0)
            return Serve(group, folder, options);
        var placement = RankPlacement.Choose(folder(), group.Size, how);
        options = placement.Apply(options);
        Handshake.Offer(group, folder(), options, placement);
        using var meeting = new RankMeeting(group, options);
        var leader = new PassLeader(group, meeting.Exchange);
        int code = lead(options with { Rank = 0, Peers = meeting.Peers with { Leader = leader } }, placement);
        // Where it fails the caller ends all ranks: telling them one by one could wait for one that is lost.
        leader.End();
        return code;
    }

    private static int Serve(RankGroup group, Func<string> folder, EngineOptions options)
    {
        string path = "";
        string? missing = Try(() => path = folder());
        if (Handshake.Answer(group, path, options, missing) is not { } agreed)
            return 1;
        using var meeting = new RankMeeting(group, agreed);
        Transformer? model = null;
        string? fault = Try(() => model = Transformer.Load(path, agreed with { Rank = group.Rank, Peers = meeting.Peers }));
        Handshake.TellLoaded(group, fault);
        using (model)
        {
            if (model is null)
                return 1;
            using var follower = new PassFollower(group, model, meeting.Exchange);
            follower.Run();
            return 0;
        }
    }

    // A rank that can't do its part says so to rank 0, which tells the user: one sentence for all.
    private static string? Try(Action action)
    {
        try
        {
            action();
            return null;
        }
        catch (Exception e) when (e is Models.ModelFormatException or ArgumentException or IOException or OutOfMemoryException)
        {
            return e.Message;
        }
    }
}
