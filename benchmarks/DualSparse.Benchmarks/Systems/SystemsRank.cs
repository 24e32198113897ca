using System.Diagnostics;
using DualSparse.Distributed;
using DualSparse.Engine;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Evaluation;
using DualSparse.Kernels;
using DualSparse.Models;

namespace DualSparse.Benchmarks.Systems;

/// <summary>What one setting came to, in one round.</summary>
/// <param name="Seconds">Of a pass, the mean.</param>
/// <param name="Reports">Of each text the loss beside the dense run, in the first round; else empty.</param>
/// <param name="Switched">The share of pairs that were computed in int8.</param>
internal sealed record SystemsResult(double Seconds, IReadOnlyList<WindowReport> Reports, double Switched);

/// <summary>This process as one of the ranks.</summary>
internal sealed class SystemsRank(RankGroup group, string folder, IReadOnlyList<TextWindows> texts, int together)
{
    private const double Rate = 0.25;

    // Pages, thresholds that follow, and what the schedule measures.
    private const int UntimedPasses = 4;

    private readonly Lazy<ExpertRates> rates = new(() => Rates(group, ModelConfig.Load(folder)));

    /// <summary>Runs the model in a setting; all ranks do so together.</summary>
    /// <returns>On rank 0; another: null.</returns>
    public SystemsResult? Run(SystemsSetting setting, bool measuresLoss)
    {
        var options = new EngineOptions
        {
            Weights = WeightFormat.Bf16,
            Threads = 1,
            // Nothing is marked: any rank may switch.
            Balance = setting.Balance == BalanceMode.None ? null : new BalanceSetting(setting.Balance, rates.Value) { MarkedAbove = 0 },
        };
        options = RankPlacement.Choose(folder, group.Size, PlacementKind.Parse("own")).Apply(options) with { Rank = group.Rank };
        using var meeting = new RankMeeting(group, options);
        meeting.Exchange!.Overlaps = setting.Overlaps;
        // Without times nothing is scheduled.
        options = options with { Peers = setting.Overlaps ? meeting.Peers : meeting.Peers with { Share = null } };
        if (group.Rank != 0)
        {
            using var part = Transformer.Load(folder, options);
            Handshake.TellLoaded(group, null);
            using var follower = new PassFollower(group, part, meeting.Exchange);
            follower.Run();
            return null;
        }

        var leader = new PassLeader(group, meeting.Exchange);
        using var model = Transformer.Load(folder, options with { Peers = options.Peers! with { Leader = leader } });
        var rule = new DropRequest { Rate = setting.Drops ? Rate : null };
        List<WindowReport> reports = measuresLoss ? [.. texts.Select(text => WindowEvaluation.Run(model, text, rule, together: together))] : [];
        model.Balanced = setting.Balance != BalanceMode.None;
        double seconds = Passes(model, setting.Drops ? rule : null);
        leader.End();
        return new SystemsResult(seconds, reports, model.Balance.SwitchedShare);
    }

    // All windows, some of each rank in a pass; logits of each one's last token only, so that little but rows of experts travels.
    private double Passes(Transformer model, DropRequest? rule)
    {
        var drop = rule is null ? null : model.NewText(rule);
        List<double> seconds = [];
        int[][][] passes = [.. texts.SelectMany(text => text.Inputs).Chunk(model.SideBySide * together)];
        for (int pass = -UntimedPasses; pass < passes.Length; pass++)
        {
            int[][] windows = passes[Math.Abs(pass) % passes.Length];
            var caches = windows.Select(ids => model.NewCache(ids.Length)).ToArray();
            var parts = windows.Select(_ => drop?.Part()).ToArray();
            long began = Stopwatch.GetTimestamp();
            model.Forward([.. windows.Select((ids, i) => new SequenceChunk(caches[i], ids, Drop: parts[i]))]);
            if (pass >= 0)
                seconds.Add(Stopwatch.GetElapsedTime(began).TotalSeconds);
            Array.ForEach(parts, part => drop?.Join(part!));
            Array.ForEach(caches, cache => cache.Dispose());
        }

        return seconds.Average();
    }

    // All at once, as they will compute; the slowest counts.
    private static ExpertRates Rates(RankGroup group, ModelConfig config)
    {
        var own = ExpertProbe.Measure(WeightFormat.Bf16, config.HiddenSize, config.Moe!.Intermediate, threads: 1);
        double[][] all = RankNumbers.Share(group, [own.BytesPerSecond, own.OperationsPerSecond, own.LowOperationsPerSecond, own.ConvertBytesPerSecond]);
        return all.Select(rank => new ExpertRates(rank[0], rank[1], rank[2], rank[3])).Aggregate(ExpertRates.Lower);
    }
}
