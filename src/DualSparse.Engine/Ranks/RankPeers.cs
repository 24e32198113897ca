using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;

namespace DualSparse.Engine.Ranks;

/// <summary>Tells the other ranks of a pass that is about to begin, so that they run it too.</summary>
/// <param name="batch">The pass's chunks, which have been checked; their caches have room.</param>
internal delegate void PassAnnouncement(ReadOnlySpan<SequenceChunk> batch);

/// <summary>How this process meets the others that run the same model.</summary>
internal sealed record RankPeers
{
    /// <summary>What ranks with parts of the same rows do together; null: this process has all parts.</summary>
    public ICollective? Collective { get; init; }

    /// <summary>How rows reach the routed experts of other ranks; null: every rank has all rows.</summary>
    public IExchange? Exchange { get; init; }

    /// <summary>On the first rank: called before each pass; null: the others needn't know.</summary>
    public PassAnnouncement? Announce { get; init; }

    /// <summary>On the first rank: called as a part of a text joins it (<see cref="TextDrop.Join"/>); null: the others needn't know.</summary>
    public Action<TextDrop, TextDrop>? Joined { get; init; }
}
