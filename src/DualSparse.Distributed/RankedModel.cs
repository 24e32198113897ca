using DualSparse.Distributed.Mpi;
using DualSparse.Engine;

namespace DualSparse.Distributed;

/// <summary>One model over several processes: under slices every rank runs every pass with its part of all weights; else rank 0 does, and asks the others for their routed experts.</summary>
internal static class RankedModel
{
    /// <summary>Runs what is to be done with the model on rank 0; the other ranks serve it meanwhile.</summary>
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
        // Where it fails the caller ends all ranks: telling them one by one could wait for one that is lost.
        if (!placement.IsSlice)
        {
            var exchange = new PeerExchange(group);
            int last = lead(options with { Rank = 0, Peers = new() { Exchange = exchange } }, placement);
            exchange.Dispose();
            return last;
        }

        var leader = new PassLeader(group);
        var collective = new RankCollective(group);
        int code = lead(options with { Rank = 0, Peers = new() { Collective = collective, Announce = leader.Announce, Joined = leader.Joined } }, placement);
        leader.Dispose();
        collective.Dispose();
        return code;
    }

    private static int Serve(RankGroup group, Func<string> folder, EngineOptions options)
    {
        string path = "";
        string? missing = Try(() => path = folder());
        if (Handshake.Answer(group, path, options, missing) is not { } agreed)
            return 1;
        if (agreed.TrunkParts > 1)
            return Follow(group, path, agreed);
        ExpertWorker? worker = null;
        string? fault = Try(() => worker = ExpertWorker.Load(group, path, agreed));
        Handshake.TellLoaded(group, fault);
        using (worker)
        {
            if (worker is null)
                return 1;
            worker.Run();
            return 0;
        }
    }

    private static int Follow(RankGroup group, string folder, EngineOptions options)
    {
        using var collective = new RankCollective(group);
        Transformer? model = null;
        string? fault = Try(() => model = Transformer.Load(folder, options with { Rank = group.Rank, Peers = new() { Collective = collective } }));
        Handshake.TellLoaded(group, fault);
        using (model)
        {
            if (model is null)
                return 1;
            using var follower = new PassFollower(group, model);
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
