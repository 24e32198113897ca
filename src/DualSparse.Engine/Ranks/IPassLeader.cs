using DualSparse.Engine.Moe.Drop;

namespace DualSparse.Engine.Ranks;

/// <summary>How the first of several ranks, whose passes these are, has the others run them too.</summary>
internal interface IPassLeader
{
    /// <summary>The rank that runs each chunk; null: every rank runs all of them, with its part of the weights. A sequence stays where it is.</summary>
    /// <param name="batch">The pass's chunks, checked.</param>
    int[]? Deal(ReadOnlySpan<SequenceChunk> batch);

    /// <summary>Tells the others of a pass that is about to begin.</summary>
    /// <param name="batch">The pass's chunks; this rank's caches have room.</param>
    /// <param name="homes">What <see cref="Deal"/> said.</param>
    /// <param name="balanced">Whether loads are balanced in it, where that is asked for.</param>
    /// <exception cref="InvalidOperationException">A pass has failed: <see cref="Fail"/>.</exception>
    void Announce(ReadOnlySpan<SequenceChunk> batch, int[]? homes, bool balanced);

    /// <summary>Brings the logits of the others' chunks here, and what their texts have come to.</summary>
    /// <param name="batch">The pass's chunks.</param>
    /// <param name="homes">What <see cref="Deal"/> said.</param>
    /// <param name="own">[own rows, vocabulary]: the logits of this rank's chunks.</param>
    /// <param name="vocabulary">The vocabulary's size.</param>
    /// <returns>[rows, vocabulary] of all chunks, valid until the next call.</returns>
    ReadOnlySpan<float> Gather(scoped ReadOnlySpan<SequenceChunk> batch, int[] homes, scoped ReadOnlySpan<float> own, int vocabulary);

    /// <summary>A pass has failed here, while the others run it: there can't be another.</summary>
    /// <param name="failure">Why.</param>
    void Fail(Exception failure);

    /// <summary>A part has joined a text.</summary>
    void Joined(TextDrop text, TextDrop part);
}
