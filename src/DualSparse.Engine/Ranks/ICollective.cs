namespace DualSparse.Engine.Ranks;

/// <summary>What ranks that compute parts of the same rows do together. Every rank calls the same methods in the same order.</summary>
internal unsafe interface ICollective
{
    /// <summary>Adds every rank's part to y, in the order of ranks: y is the same on all of them, to the bit.</summary>
    /// <param name="pass">Threads; the operator that waits.</param>
    /// <param name="own">A part for each rank that this process is: [rows, <paramref name="width"/>] f32.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="width">Values of a row.</param>
    /// <param name="y">[rows, width] f32, added to.</param>
    void AllReduce(Pass pass, IReadOnlyList<nint> own, int rows, int width, float* y);

    /// <summary>Brings the logits of all ids to the first rank.</summary>
    /// <param name="pass">Memory.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="vocabulary">The vocabulary's size.</param>
    /// <param name="logits">[rows, vocabulary] f32: this rank's ids are computed; on the first rank, the others' are filled in.</param>
    void GatherLogits(Pass pass, int rows, int vocabulary, float* logits);
}
