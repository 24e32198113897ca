namespace DualSparse.Engine;

/// <summary>Which rows of logits a forward pass computes for a chunk.</summary>
public enum LogitRows
{
    /// <summary>None: the chunk only fills the cache.</summary>
    None,

    /// <summary>Those after the chunk's last token.</summary>
    Last,

    /// <summary>Those after each token.</summary>
    All,
}

/// <summary>The next tokens of one sequence.</summary>
/// <param name="Cache">The sequence's keys and values so far; the chunk's are appended.</param>
/// <param name="Ids">Token ids, at least one.</param>
/// <param name="Logits">The logits wanted.</param>
/// <param name="Generated">
/// Whether the model chose the tokens itself: a drop rule may treat them otherwise than a prompt's, and latent attention, which would else
/// expand the whole context for them, takes another way to the same sum (<see cref="LatentHeads"/>).
/// </param>
public readonly record struct SequenceChunk(KvCache Cache, ReadOnlyMemory<int> Ids, LogitRows Logits = LogitRows.Last, bool Generated = false);
