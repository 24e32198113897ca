using DualSparse.Engine.Moe.Drop;
using DualSparse.Engine.Vision;

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
/// <param name="Logits">Which logits to compute.</param>
/// <param name="Generated">
/// Whether the model generated the tokens: a drop may treat them differently from a prompt's, and latent attention computes them absorbed
/// rather than expanding the whole context for them (<see cref="LatentHeads"/>).
/// </param>
/// <param name="Drop">The text's drop; null: nothing is dropped or counted.</param>
/// <param name="Appended">
/// The positions of the tokens that are appended together, of which the chunk may be a part; null: not known. Latent attention depends on
/// it (<see cref="LatentHeads.AbsorbedIsCheaper"/>) and so not on how the tokens are cut into passes.
/// </param>
/// <param name="Marked">Of the tokens those that the caller marks, as of an image: where they are the most, ranks may compute in a lower precision. Those of pictures are marked too.</param>
/// <param name="Pictures">The text's pictures, up to these tokens at least; null: it has none.</param>
internal readonly record struct SequenceChunk(
    KvCache Cache, ReadOnlyMemory<int> Ids, LogitRows Logits = LogitRows.Last, bool Generated = false, TextDrop? Drop = null, Range? Appended = null, Range Marked = default,
    TextPictures? Pictures = null)
{
    /// <summary>The number of rows of logits.</summary>
    public int LogitRowCount => Logits switch { LogitRows.All => Ids.Length, LogitRows.Last => 1, _ => 0 };
}
