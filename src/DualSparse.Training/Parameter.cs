namespace DualSparse.Training;

/// <summary>A tensor that is trained: a slice of <see cref="ParameterSet"/>'s memory.</summary>
/// <param name="Name">Its name in the checkpoint.</param>
/// <param name="Shape">Its shape: [out, in] for a projection, [n] for a norm or bias.</param>
/// <param name="Offset">Elements before it in the set, a multiple of 16.</param>
/// <param name="Expert">The routed expert it belongs to; null: none.</param>
internal sealed record Parameter(string Name, long[] Shape, long Offset, int? Expert = null)
{
    /// <summary>Elements.</summary>
    public long Count { get; } = Shape.Aggregate(1L, (product, n) => product * n);

    /// <summary>Whether weight decay acts on it: on matrices, embeddings and routers included, and not on norms and biases.</summary>
    public bool Decays => Shape.Length >= 2;
}
