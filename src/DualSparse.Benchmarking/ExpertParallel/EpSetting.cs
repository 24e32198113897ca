using DualSparse.Engine.Moe;
using DualSparse.Kernels;
using DualSparse.Kernels.Packing;

namespace DualSparse.Benchmarking.ExpertParallel;

/// <summary>What is measured: layers of one shape with random weights, how their experts are placed, and how many rows each rank has.</summary>
/// <param name="Shape">A layer's sizes.</param>
/// <param name="Weights">The format of the weights.</param>
/// <param name="Threads">Threads of a rank.</param>
/// <param name="Tokens">T, rows of each rank.</param>
/// <param name="Layers">Layers, each with weights and routing of its own.</param>
/// <param name="Parts">The parts of each expert; null: as many as ranks (slices).</param>
/// <param name="Rounds">Rounds, of which medians are taken.</param>
internal sealed record EpSetting(LayerShape Shape, WeightFormat Weights, int Threads, int Tokens, int Layers, int? Parts, int Rounds)
{
    /// <summary>[layers] how often calibration chose each expert, by which whole parts are dealt out; null: in blocks.</summary>
    public IReadOnlyList<long[]?>? Counts { get; init; }

    /// <summary>[layers] how often rows before these chose each expert; null: nobody knows.</summary>
    public IReadOnlyList<long[]>? History { get; init; }

    /// <summary>The parts of each expert over so many ranks.</summary>
    public int PartsOf(int ranks) => Parts ?? ranks;

    /// <summary>Whether every rank has a part of every expert, and with it all rows.</summary>
    public bool IsSlice(int ranks) => PartsOf(ranks) == ranks;

    /// <summary>Why experts can't be shared by so many ranks; null: they can.</summary>
    public string? Misfit(int ranks)
    {
        int parts = PartsOf(ranks);
        if (!ExpertPlacement.CanCut(Shape.Neurons, parts))
            return $"experts of {Shape.Neurons} neurons can't be cut into {parts} parts, each with an equal share of the major and of the minor half";
        return ranks <= Shape.Experts * parts ? null : $"{ranks} ranks can't share {Shape.Experts} experts of {parts} parts";
    }

    /// <summary>Bytes of all weights of a run on one machine.</summary>
    /// <param name="realRanks">Real ranks here; 0: none.</param>
    /// <param name="counts">Counts of virtual ranks.</param>
    public long WeightBytes(int realRanks, IEnumerable<int> counts)
    {
        long layer = Shape.Experts * (long)PackedExperts.SizeBytes(Weights, Shape.Hidden, Shape.Neurons);
        // One process has all layers, real ranks share as many; each of them has a layer for its virtual ones, and so has each count whose experts are cut.
        return layer * (Layers + (realRanks > 0 ? Layers + realRanks : 0) + counts.Count(ranks => PartsOf(ranks) > 1));
    }

    /// <summary>Whether experts can be dealt out anew, by the counts of earlier rows: each rank then has as many as before.</summary>
    public bool CanReplace(int ranks) => History is not null && !IsSlice(ranks) && Shape.Experts * PartsOf(ranks) % ranks == 0;

    /// <summary>The experts of a layer, by rank, as they are dealt out anew.</summary>
    public ExpertPlacement Replaced(int ranks, int layer) => ExpertPlacement.Packed(ranks, History![layer], PartsOf(ranks));

    /// <summary>The experts of a layer, by rank.</summary>
    public ExpertPlacement Placement(int ranks, int layer) => !IsSlice(ranks) && Counts?[layer] is { } counts
        ? ExpertPlacement.Packed(ranks, counts, PartsOf(ranks))
        : ExpertPlacement.Blocks(ranks, Shape.Experts, PartsOf(ranks));
}
