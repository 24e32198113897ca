using DualSparse.Kernels.Packing;
using DualSparse.Models;

namespace DualSparse.Engine.Ranks;

/// <summary>
/// How all but the routed experts is cut over ranks: attention by key-value heads, MLPs that every row takes by neurons, the output head by ids of
/// the vocabulary. What can't be cut evenly is whole on every rank, which then computes the same values as the others.
/// </summary>
/// <param name="Parts">The number of parts; 1: nothing is cut.</param>
/// <param name="Rank">The part that this process has; null: all of them.</param>
internal sealed record TrunkCut(int Parts, int? Rank)
{
    /// <summary>Nothing is cut.</summary>
    public static TrunkCut Whole { get; } = new(1, null);

    // The parts that this process has.
    private CutPart[] Own => [.. Enumerable.Range(0, Parts).Where(part => Rank is null || Rank == part).Select(part => new CutPart(part, Parts))];

    /// <summary>Whether attention is cut: each rank has as many key-value heads as the others, none twice.</summary>
    public bool CutsAttention(AttentionConfig attention) => Parts > 1 && (attention.Mla is null ? attention.KeyValueHeads : attention.Heads) % Parts == 0;

    /// <summary>This process's parts of attention.</summary>
    public CutPart[] Attention(AttentionConfig attention) => CutsAttention(attention) ? Own : [CutPart.Whole];

    /// <summary>A part's heads.</summary>
    public AttentionConfig OfAttention(AttentionConfig attention) => !CutsAttention(attention) ? attention
        : attention with { Heads = attention.Heads / Parts, KeyValueHeads = attention.KeyValueHeads / Parts };

    /// <summary>Whether an MLP that every row takes is cut.</summary>
    /// <param name="neurons">F.</param>
    public bool CutsNeurons(int neurons) => Parts > 1 && neurons >= Parts;

    /// <summary>This process's parts of an MLP that every row takes.</summary>
    /// <param name="neurons">F.</param>
    public CutPart[] Mlp(int neurons) => CutsNeurons(neurons) ? Own : [CutPart.Whole];

    /// <summary>A part's neurons: in whole blocks of the packed layout, where there are enough for all.</summary>
    /// <param name="part">The part.</param>
    /// <param name="neurons">F.</param>
    public static (int First, int Count) Neurons(CutPart part, int neurons) =>
        part.Range(neurons, neurons >= part.Of * PanelLayout.InputAlignment ? PanelLayout.InputAlignment : 1);

    /// <summary>The ids whose logits this process computes. Logits don't depend on each other: in one process none are cut.</summary>
    /// <param name="vocabulary">The vocabulary's size.</param>
    public (int First, int Count) Ids(int vocabulary) => Ids(vocabulary, Rank is { } rank ? new CutPart(rank, Parts) : CutPart.Whole);

    /// <summary>The ids whose logits a part computes, in whole panels.</summary>
    public static (int First, int Count) Ids(int vocabulary, CutPart part) => part.Range(vocabulary, PanelLayout.Columns);
}
