using DualSparse.Distributed;
using DualSparse.Engine.Moe;

namespace DualSparse.Training;

/// <summary>
/// Into how many parts a step is cut, and which of them this process computes: all, one after another, or one of them as one of several ranks. A part
/// has windows of its own and a gradient of its own; gradients are added in the order of parts, and an expert's rows too where several ranks send
/// them. So a run depends on the number of its parts, and not on who computes them.
/// </summary>
/// <param name="Count">Parts, at least one.</param>
/// <param name="Group">The ranks, one for each part; null: this process computes all.</param>
internal sealed record TrainingParts(int Count, RankGroup? Group = null)
{
    /// <summary>The whole step in this process.</summary>
    public static TrainingParts Whole { get; } = new(1);

    // A model's layers all have as many experts.
    private ExpertPlacement? placement;

    /// <summary>The parts that this process computes, in their order.</summary>
    public IReadOnlyList<int> Mine { get; } = Group is null ? [.. Enumerable.Range(0, Count)] : [Group.Rank];

    /// <summary>Whether this process keeps all tensors, those of other ranks' experts too: checkpoints are written from them.</summary>
    public bool KeepsAll => Group is null or { Rank: 0 };

    /// <summary>Which part's rank has which expert of a layer. One process adds an expert's rows up in groups of the same experts.</summary>
    public ExpertPlacement Place(int experts) => placement is { } made && made.Experts == experts ? made : placement = ExpertPlacement.Blocks(Count, experts);

    /// <summary>Whether this process has an expert.</summary>
    public bool Holds(int expert, int experts) => Group is null || Place(experts).RankOf[expert] == Group.Rank;
}
