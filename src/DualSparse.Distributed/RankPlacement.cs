using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Models;

namespace DualSparse.Distributed;

/// <summary>Where each rank's part of the routed experts is, and why so.</summary>
/// <param name="Ranks">Ranks.</param>
/// <param name="Parts">The parts of each expert.</param>
/// <param name="Reason">Why, for people.</param>
/// <param name="Counts">By layer, how often calibration chose each expert, by which <c>own</c> and <c>hybrid</c> deal them out; null: in blocks.</param>
internal sealed record RankPlacement(int Ranks, int Parts, string Reason, long[]?[]? Counts = null)
{
    /// <summary>Its name.</summary>
    public string Name => Parts == 1 ? "own" : Parts == Ranks ? "slice" : $"hybrid:{Parts}";

    /// <summary>Whether every rank has a part of everything.</summary>
    public bool IsSlice => Parts == Ranks;

    /// <summary>The placement asked for, or the one that is predicted to be the fastest.</summary>
    /// <param name="folder">The model's folder.</param>
    /// <param name="ranks">Ranks.</param>
    /// <param name="how">What was asked for; null: nothing, and the ranks don't run yet.</param>
    /// <exception cref="ArgumentException">The model's experts can't be placed so.</exception>
    /// <exception cref="ModelFormatException">The folder is damaged or not implemented.</exception>
    public static RankPlacement Choose(string folder, int ranks, PlacementKind? how)
    {
        var config = ModelConfig.Load(folder);
        var moe = config.Moe ?? throw new ArgumentException($"{folder} has no experts to share: run it in one process");
        var counts = ExpertCounts.Find(folder, config);
        how ??= PlacementKind.Fastest(PlacementSetting.Nominal(RankWork.Usual, WeightFormat.Bf16));
        if (how.Setting is { } setting)
            return Fastest(folder, config, ranks, setting);
        int parts = how.Parts ?? ranks;
        if (how.InOrder)
            counts = null;
        if (!ExpertPlacement.CanCut(moe.Intermediate, parts))
            throw new ArgumentException($"experts of {moe.Intermediate} neurons can't be cut into {parts} parts, each with an equal share of the major and of the minor half");
        return Fits(moe, ranks, parts) ? new RankPlacement(ranks, parts, "as asked for", counts).WithBalance() : throw TooMany(moe, ranks, parts);
    }

    /// <summary>The experts of a layer, by rank.</summary>
    /// <param name="layer">Which layer.</param>
    /// <param name="experts">The number of its experts.</param>
    public ExpertPlacement Of(int layer, int experts) =>
        !IsSlice && Counts?[layer] is { } counts ? ExpertPlacement.Packed(Ranks, counts, Parts) : ExpertPlacement.Blocks(Ranks, experts, Parts);

    /// <summary>The options with which a process of this placement loads the model.</summary>
    public EngineOptions Apply(EngineOptions options) => options with { Ranks = Ranks, TrunkParts = IsSlice ? Ranks : 1, Placement = Of };

    /// <summary>[ranks] each rank's share of the routed work of the calibration text; null: nobody counted.</summary>
    public double[]? Shares() => Counts is null ? null : ExpertCounts.Shares(Counts, Ranks, Of);

    /// <summary>Mean over highest load of ranks in the calibration text; null: nobody counted.</summary>
    public double? Balancedness() => Counts is null ? null : ExpertCounts.Balancedness(Counts, Of);

    /// <summary>Every placement that a model's ranks can have, and the seconds predicted of it; the fastest first.</summary>
    /// <exception cref="ArgumentException">There is none.</exception>
    /// <exception cref="ModelFormatException">The folder is damaged.</exception>
    public static (RankPlacement Placement, double Seconds)[] Predict(string folder, ModelConfig config, int ranks, PlacementSetting setting)
    {
        var moe = config.Moe ?? throw new ArgumentException($"{folder} has no experts to share: run it in one process");
        var counts = ExpertCounts.Find(folder, config);
        var cost = new PlacementCost(config, setting.Weights, ActivationRows.WireBytes(setting.Form, config.HiddenSize), ranks, setting.Machine, setting.Link);
        (RankPlacement, double)[] found = [.. Enumerable.Range(1, ranks).Where(parts => ranks % parts == 0 && ExpertPlacement.CanCut(moe.Intermediate, parts) && Fits(moe, ranks, parts))
            .Select(parts => new RankPlacement(ranks, parts, "", counts))
            .Select(p => (Placement: p, Seconds: cost.Seconds(p.Parts, setting.Work, p.Balancedness() ?? 1)))
            .OrderBy(p => p.Seconds)];
        return found.Length > 0 ? found : throw TooMany(moe, ranks, 1);
    }

    private static RankPlacement Fastest(string folder, ModelConfig config, int ranks, PlacementSetting setting)
    {
        var found = Predict(folder, config, ranks, setting);
        string reason = found.Length > 1 ? setting.Reason([.. found.Select(p => (p.Placement.Name, p.Seconds))])
            : $"{config.Moe!.Intermediate} neurons can't be cut into {ranks} equal parts of either half";
        return (found[0].Placement with { Reason = reason }).WithBalance();
    }

    private RankPlacement WithBalance() => IsSlice || Balancedness() is not { } balance ? this : this with
    {
        Reason = $"{Reason}; experts dealt by calibrated counts: balancedness {balance:0.00}, in blocks {ExpertCounts.Balancedness(Counts!, (_, experts) => ExpertPlacement.Blocks(Ranks, experts, Parts)):0.00}",
    };

    private static bool Fits(MoeConfig moe, int ranks, int parts) => ranks <= moe.Experts * parts;

    private static ArgumentException TooMany(MoeConfig moe, int ranks, int parts) =>
        new($"{ranks} ranks can't share {moe.Experts} experts a layer{(parts > 1 ? $" of {parts} parts" : "")}: start at most {moe.Experts * parts}");
}
