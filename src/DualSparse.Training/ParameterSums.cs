using System.Numerics.Tensors;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Threading;

namespace DualSparse.Training;

/// <summary>The sum of several parts' gradients where one process computes all: each part's own first, then added in their order.</summary>
/// <param name="set">The tensors.</param>
internal sealed unsafe class ParameterSums(ParameterSet set) : IDisposable
{
    private readonly AlignedBuffer memory = new((nuint)set.Length * sizeof(float));

    /// <summary>Takes a part's gradients.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="first">Whether it is the first part.</param>
    public void Take(ThreadTeam team, bool first) => team.For(set.Chunks.Count, (i, _) =>
    {
        if (first)
            Gradient(i).CopyTo(Sum(i));
        else
            TensorPrimitives.Add(Sum(i), Gradient(i), Sum(i));
    });

    /// <summary>The set's gradients become the sum.</summary>
    public void Give(ThreadTeam team) => team.For(set.Chunks.Count, (i, _) => Sum(i).CopyTo(Gradient(i)));

    /// <summary>Frees the memory.</summary>
    public void Dispose() => memory.Dispose();

    private Span<float> Gradient(int chunk) => new(set.Gradients + set.Chunks[chunk].First, set.Chunks[chunk].Count);

    private Span<float> Sum(int chunk) => new((float*)memory.Pointer + set.Chunks[chunk].First, set.Chunks[chunk].Count);
}
