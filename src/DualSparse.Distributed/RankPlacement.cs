using System.Globalization;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Kernels.Packing;
using DualSparse.Models;

namespace DualSparse.Distributed;

/// <summary>How experts are placed, as somebody asks for it.</summary>
/// <param name="Parts">The parts of each expert; null: as many as ranks.</param>
internal sealed record PlacementKind(int? Parts)
{
    /// <summary>Whole experts, each on one rank.</summary>
    public static readonly PlacementKind Own = new(1);

    /// <summary>A slice of every expert on every rank.</summary>
    public static readonly PlacementKind Slice = new((int?)null);

    /// <summary>What the command line calls it: own, slice, or hybrid:P.</summary>
    /// <exception cref="ArgumentException">It is none of them.</exception>
    public static PlacementKind Parse(string text)
    {
        string name = text.ToLowerInvariant();
        return name switch
        {
            "own" => Own,
            "slice" => Slice,
            _ when name.StartsWith("hybrid:", StringComparison.Ordinal) && int.TryParse(name["hybrid:".Length..], NumberStyles.None, CultureInfo.InvariantCulture, out int parts) && parts > 0 => new(parts),
            _ => throw new ArgumentException($"--placement is '{text}', expected own, slice or hybrid:P with the number of parts"),
        };
    }
}

/// <summary>Where each rank's part of the routed experts is, and why so.</summary>
/// <param name="Ranks">Ranks.</param>
/// <param name="Parts">The parts of each expert.</param>
/// <param name="Reason">Why, for people.</param>
internal sealed record RankPlacement(int Ranks, int Parts, string Reason)
{
    /// <summary>Its name.</summary>
    public string Name => Parts == 1 ? "own" : Parts == Ranks ? "slice" : $"hybrid:{Parts}";

    /// <summary>Whether every rank has a part of everything.</summary>
    public bool IsSlice => Parts == Ranks;

    /// <summary>The placement asked for, or the one that suits the model.</summary>
    /// <param name="folder">The model's folder.</param>
    /// <param name="ranks">Ranks.</param>
    /// <param name="how">What was asked for; null: nothing.</param>
    /// <exception cref="ArgumentException">The model's experts can't be placed so.</exception>
    /// <exception cref="ModelFormatException">The folder is damaged or not implemented.</exception>
    public static RankPlacement Choose(string folder, int ranks, PlacementKind? how)
    {
        var moe = ModelConfig.Load(folder).Moe ?? throw new ArgumentException($"{folder} has no experts to share: run it in one process");
        if (how is null)
            return Best(moe, ranks);
        int parts = how.Parts ?? ranks;
        if (!ExpertPlacement.CanCut(moe.Intermediate, parts))
            throw new ArgumentException($"experts of {moe.Intermediate} neurons can't be cut into {parts} parts, each with an equal share of the major and of the minor half");
        return Fits(moe, ranks, parts) ? new RankPlacement(ranks, parts, "as asked for") : throw TooMany(moe, ranks, parts);
    }

    /// <summary>The options with which a process of this placement loads the model.</summary>
    public EngineOptions Apply(EngineOptions options) => options with { Ranks = Ranks, TrunkParts = IsSlice ? Ranks : 1, Placement = (_, experts) => ExpertPlacement.Blocks(Ranks, experts, Parts) };

    // A slice gives every rank the same work for any number of rows; the k experts of one token are rarely spread evenly over ranks.
    private static RankPlacement Best(MoeConfig moe, int ranks)
    {
        int half = moe.Intermediate / 2;
        if (ExpertPlacement.CanCut(moe.Intermediate, ranks) && half / ranks % PanelLayout.InputAlignment == 0)
            return new RankPlacement(ranks, ranks, "every rank has the same share of each token's work");
        return Fits(moe, ranks, 1)
            ? new RankPlacement(ranks, 1, $"halves of {half} neurons have no {ranks} equal slices of whole blocks of {PanelLayout.InputAlignment}")
            : throw TooMany(moe, ranks, 1);
    }

    private static bool Fits(MoeConfig moe, int ranks, int parts) => ranks <= moe.Experts * parts;

    private static ArgumentException TooMany(MoeConfig moe, int ranks, int parts) =>
        new($"{ranks} ranks can't share {moe.Experts} experts a layer{(parts > 1 ? $" of {parts} parts" : "")}: start at most {moe.Experts * parts}");
}
