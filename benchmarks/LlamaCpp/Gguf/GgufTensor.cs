using DualSparse.Models;

namespace DualSparse.LlamaCpp.Gguf;

/// <summary>A tensor of a GGUF file, whose rows are those of one or several matrices of a checkpoint, one after another.</summary>
/// <param name="Name">Its name: "blk.0.attn_q.weight".</param>
/// <param name="Type">How it is stored.</param>
/// <param name="Shape">Its shape, outermost first.</param>
/// <param name="Sources">The tensors that it is made of.</param>
internal sealed record GgufTensor(string Name, GgufType Type, long[] Shape, IReadOnlyList<TensorSpec> Sources)
{
    /// <summary>Its length in bytes.</summary>
    public long ByteLength => Elements.Bytes(Type, Shape.Aggregate(1L, (product, n) => product * n));
}
