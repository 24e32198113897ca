using DualSparse.Engine.Moe.Drop;

namespace DualSparse.Engine;

/// <summary>Which rows of logits a forward pass computes for a chunk.</summary>
internal enum LogitRows
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
/// Whether the model chose the tokens itself: a drop may treat them otherwise than a prompt's, and latent attention, which would else
/// expand the whole context for them, takes another way to the same sum (<see cref="LatentHeads"/>).
/// </param>
/// <param name="Drop">What is left out of the text; null: nothing, and nothing is counted.</param>
/// <param name="Appended">
/// The positions of the tokens that are put in together, of which this may be a part; null: nobody has said. Latent attention chooses its way by
/// it (<see cref="LatentHeads.LatentsCostLess"/>), so that a cut into passes changes nothing.
/// </param>
internal readonly record struct SequenceChunk(
    KvCache Cache, ReadOnlyMemory<int> Ids, LogitRows Logits = LogitRows.Last, bool Generated = false, TextDrop? Drop = null, Range? Appended = null)
{
    /// <summary>Rows of logits.</summary>
    public int WantedRows => Logits switch { LogitRows.All => Ids.Length, LogitRows.Last => 1, _ => 0 };
}
