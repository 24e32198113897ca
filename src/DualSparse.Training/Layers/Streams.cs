using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using DualSparse.Kernels.Memory;
using DualSparse.Models;

namespace DualSparse.Training.Layers;

/// <summary>
/// How layers are joined by residual streams, forward and backward. Standard: one stream, which each half layer reads and adds to. FarSkip
/// (arXiv 2511.11505): R is whole, A lacks the last layer's routed experts; r = R + shared(R) + attention(A), A′ = r, R′ = r + routed(R).
/// </summary>
/// <param name="layers">The layers.</param>
/// <param name="wiring">Which.</param>
/// <param name="hidden">Values of a row.</param>
internal sealed unsafe class Streams(IReadOnlyList<LayerPair> layers, Wiring wiring, int hidden) : IDisposable
{
    private const int RowsPerItem = 32;

    private readonly ScratchBuffer second = new(), routed = new();

    /// <summary>h becomes what the last layer gives.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="h">[tokens, hidden] f32: the embeddings.</param>
    public void Forward(TrainingPass pass, float* h)
    {
        bool skips = wiring == Wiring.FarSkip;
        float* a = skips ? Copy(pass, h, second) : h;
        foreach (var (attention, mlp) in layers)
        {
            if (!skips)
                attention.Forward(pass, h, h);
            mlp.Begin(pass, h);
            if (skips)
            {
                attention.Forward(pass, a, h);
                a = Copy(pass, h, second);
            }

            mlp.End(pass, h);
        }
    }

    /// <summary>dh becomes the gradient of the embeddings; those of all tensors are added.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="dh">[tokens, hidden] f32: the gradient of what the last layer gave.</param>
    public void Backward(TrainingPass pass, float* dh)
    {
        if (wiring == Wiring.Standard)
        {
            foreach (var (attention, mlp) in layers.Reverse())
            {
                mlp.Backward(pass, dh, dh);
                attention.Backward(pass, dh, dh);
            }

            return;
        }

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
    private void Add(TrainingPass pass, float* rows, float* to) => pass.Work.Team.For((pass.Tokens + RowsPerItem - 1) / RowsPerItem, (item, _) =>
    {
        nint first = (nint)item * RowsPerItem * hidden;
        var sum = new Span<float>(to + first, Math.Min(RowsPerItem, pass.Tokens - item * RowsPerItem) * hidden);
        TensorPrimitives.Add(sum, new ReadOnlySpan<float>(rows + first, sum.Length), sum);
    });
}
