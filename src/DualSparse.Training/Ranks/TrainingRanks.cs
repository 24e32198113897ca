using DualSparse.Distributed;
using DualSparse.Kernels.Threading;
using DualSparse.Models;

namespace DualSparse.Training.Ranks;

/// <summary>A run over several processes: the first has the files and says what is done, the others do it with their windows and their experts.</summary>
internal static class TrainingRanks
{
    /// <summary>This rank's part of a run.</summary>
    /// <param name="group">The ranks.</param>
    /// <param name="threads">Threads of this rank.</param>
    /// <param name="lead">The first rank's work, which makes a <see cref="Trainer"/> with these ranks.</param>
    /// <returns>On the first rank what <paramref name="lead"/> returned, else 0.</returns>
    public static int Run(RankGroup group, int threads, Func<TrainingPeers, int> lead)
    {
        using var peers = new TrainingPeers(group);
        if (!peers.Leads)
            return Follow(group, threads, peers);
        int code = lead(peers);
        // Where it fails the caller ends all ranks: telling them one by one could wait for one that is lost.
        peers.Order(new TrainingOrder { Kind = TrainingOrderKind.End });
        return code;
    }

    private static int Follow(RankGroup group, int threads, TrainingPeers peers)
    {
        var begin = peers.Receive();
        if (begin.Kind == TrainingOrderKind.End)
            return 0;
        var config = ModelConfig.Parse(begin.Config, "rank 0's config.json", null, "");
        using var team = new ThreadTeam(threads);
        using var learner = new Learner(config, begin.Options!, team, new TrainingParts(group.Size, group), peers);
        learner.Optimizer.Steps = begin.Step;
        learner.Meet(begin.Config);
        while (peers.Receive() is { Kind: not TrainingOrderKind.End } order)
        {
            switch (order.Kind)
            {
                case TrainingOrderKind.Step:
                    var (_, norm) = learner.Gradients(order.Batches[0], order.Rate);
                    learner.Update(order.Rate, norm);
                    break;
                case TrainingOrderKind.HeldOut:
                    learner.HeldOutLoss(order.Batches);
                    break;
                default:
                    learner.Gather();
                    break;
            }
        }

        return 0;
    }
}
