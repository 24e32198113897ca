using DualSparse.Distributed;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Kernels;

namespace DualSparse.RankSuite;

/// <summary>One way to run a model over ranks, and what is walked through it.</summary>
/// <param name="Folder">The model's folder.</param>
/// <param name="Placement">own, slice, hybrid:P; or packed: parts dealt unevenly; or last: all experts on the last rank, the others have none.</param>
/// <param name="Weights">The weights' format.</param>
/// <param name="Balance">How loads are balanced, and by which rule; null: they aren't.</param>
/// <param name="Many">Whether one pass of many rows is walked, and nothing else.</param>
internal sealed record RankCase(string Folder, string Placement, WeightFormat Weights, (BalanceMode Mode, BalanceRule Rule)? Balance = null, bool Many = false)
{
    // Where few rows are enough to be worth a switch, and arithmetic counts.
    private static readonly ExpertRates s_rates = new(1e12, 1e9, 3e9, 1e12);
    // A share of the work that thresholds of all layers drop, or that they follow.
    private static readonly DropRequest?[] s_drops = [null, new() { Thresholds = new(0.06f, 0.1f) }, new() { Rate = 0.3 }];

    private static readonly int[] s_sequences = [1, 3];

    /// <summary>Whether thresholds move a decision where sums differ in their last bits; of each walk of <see cref="Walks"/>.</summary>
    public static bool[] Drops => [.. s_drops.SelectMany(drop => s_sequences.Select(_ => drop is not null))];

    /// <summary>Each walk by a name.</summary>
    public static string[] Names => [.. s_drops.SelectMany(drop => s_sequences.Select(n => $"{n} sequences, drop {drop?.Rate?.ToString() ?? drop?.Thresholds.ToString() ?? "none"}"))];

    /// <summary>From <see cref="ToString"/>.</summary>
    public static RankCase Parse(string text) => text.Split('|') is [var folder, var placement, var weights, var mode, var rule, var many]
        ? new RankCase(folder, placement, Enum.Parse<WeightFormat>(weights), mode == $"{BalanceMode.None}" ? null : (Enum.Parse<BalanceMode>(mode), Enum.Parse<BalanceRule>(rule)), bool.Parse(many))
        : throw new ArgumentException($"'{text}' is no case, expected folder|placement|weights|mode|rule|many");

    /// <inheritdoc/>
    public override string ToString() => $"{Folder}|{Placement}|{Weights}|{Balance?.Mode ?? BalanceMode.None}|{Balance?.Rule ?? BalanceRule.Makespan}|{Many}";

    /// <summary>All walks, without a drop first.</summary>
    public IEnumerable<Walk> Walks(Transformer model) => Many ? [Walk.Many(model)] : s_drops.SelectMany(drop => s_sequences.Select(n => Walk.Through(model, drop, n)));

    /// <summary>What several ranks compute, in one process.</summary>
    public EngineOptions OneProcess(int ranks)
    {
        var options = new EngineOptions { Weights = Weights, Balance = Setting };
        return OwnPlacement(ranks) is { } experts
            ? options with { Ranks = ranks, Placement = experts }
            : new RankPlacement(ranks, PlacementKind.Parse(Placement).Parts ?? ranks, "").Apply(options);
    }

    /// <summary>This rank's part of it, on all ranks.</summary>
    /// <param name="group">The ranks.</param>
    /// <param name="found">Receives the walks, on rank 0.</param>
    public void Run(RankGroup group, Action<Walk> found)
    {
        var options = new EngineOptions { Weights = Weights, Threads = 1, Balance = Setting };
        if (OwnPlacement(group.Size) is not { } experts)
        {
            if (RankedModel.Run(group, () => Folder, options, PlacementKind.Parse(Placement), (chosen, _) => Lead(chosen, found)) != 0)
                throw new InvalidOperationException($"{this} could not be run");
            return;
        }

        // What no command asks for, so no handshake tells it.
        using var meeting = new RankMeeting(group, options);
        options = options with { Ranks = group.Size, Placement = experts, Rank = group.Rank, Peers = meeting.Peers };
        if (group.Rank == 0)
        {
            var leader = new PassLeader(group, meeting.Exchange);
            Lead(options with { Peers = meeting.Peers with { Leader = leader } }, found);
            leader.End();
            return;
        }

        using var model = Transformer.Load(Folder, options);
        Handshake.TellLoaded(group, null);
        using var follower = new PassFollower(group, model, meeting.Exchange);
        follower.Run();
    }

    private BalanceSetting? Setting => Balance is not { } balance ? null : new BalanceSetting(balance.Mode, s_rates) { Rule = balance.Rule, MarkedAbove = 0.3, Knee = 2 };

    private int Lead(EngineOptions options, Action<Walk> found)
    {
        using var model = Transformer.Load(Folder, options);
        foreach (var walk in Walks(model))
            found(walk);
        return 0;
    }

    private Func<int, int, ExpertPlacement>? OwnPlacement(int ranks) => Placement switch
    {
        "last" => (_, experts) => new ExpertPlacement(ranks, [.. Enumerable.Repeat(ranks - 1, experts)]),
        "packed" => (layer, experts) => ExpertPlacement.Packed(ranks, [.. Enumerable.Range(0, experts).Select(e => (long)(e * 7 + layer * 3) % experts)], 2),
        _ => null,
    };
}
