using System.Runtime.InteropServices;
using DualSparse.Kernels.Memory;
using DualSparse.Training.Ops;

namespace DualSparse.Training.Layers;

/// <summary>
/// FarSkip's two residual streams (arXiv 2511.11505), forward and backward: R is whole, A lacks the last layer's routed experts; r = R + shared(R) + attention(A), A′ = r, R′ = r + routed(R).
/// </summary>
/// <param name="layers">The layers.</param>
/// <param name="hidden">Values of a row.</param>
internal sealed unsafe class FarSkipStreams(IReadOnlyList<LayerPair> layers, int hidden) : IDisposable
{
    private readonly ScratchBuffer second = new(), routed = new();

    /// <summary>h becomes what the last layer gives.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="h">[tokens, hidden] f32: the embeddings.</param>
    public void Forward(TrainingPass pass, float* h)
    {
        float* a = Copy(pass, h, second);
        foreach (var (attention, mlp) in layers)
        {
            mlp.Begin(pass, h);
            attention.Forward(pass, a, h);
            a = Copy(pass, h, second);
            mlp.End(pass, h);
        }
    }

    /// <summary>dh becomes the gradient of the embeddings; those of all tensors are added.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="dh">[tokens, hidden] f32: the gradient of what the last layer gave.</param>
    public void Backward(TrainingPass pass, float* dh)
    {
        nint size = (nint)pass.Tokens * hidden;
        float* da = second.Floats(size);
        NativeMemory.Clear(da, (nuint)size * sizeof(float));
        foreach (var (attention, mlp) in layers.Reverse())
        {
            // What the routed experts gave went into R alone, the rest into both.
            float* dRouted = Copy(pass, dh, routed);
            Add(pass, da, dh);
            NativeMemory.Clear(da, (nuint)size * sizeof(float));
            attention.Backward(pass, dh, da);
            mlp.Backward(pass, dRouted, dh);
        }

        Add(pass, da, dh);
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        second.Dispose();
        routed.Dispose();
    }

    private float* Copy(TrainingPass pass, float* rows, ScratchBuffer buffer)
    {
        nint size = (nint)pass.Tokens * hidden;
        float* copy = buffer.Floats(size);
        NativeMemory.Copy(rows, copy, (nuint)size * sizeof(float));
        return copy;
    }

    // to += rows.
    private void Add(TrainingPass pass, float* rows, float* to) => ParallelSum.Add(pass.Work.Team, to, (long)pass.Tokens * hidden, (nint)rows);
}
