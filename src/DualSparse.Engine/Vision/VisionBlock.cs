using System.Numerics.Tensors;
using DualSparse.Engine.Loading;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Ops;
using DualSparse.Models;
using DualSparse.Models.Pictures;

namespace DualSparse.Engine.Vision;

/// <summary>x += attention(norm(x)); x += mlp(norm(x)).</summary>
internal sealed unsafe class VisionBlock : IDisposable
{
    private readonly float[] norm;
    private readonly float[] bias;
    private readonly PatchAttention attention;
    private readonly NormedMlp mlp;

    /// <summary>Loads a block.</summary>
    public VisionBlock(ModelLoader loader, VisionConfig config, VisionBlockTensors tensors, Rope rope)
    {
        (norm, bias) = (loader.Vector(tensors.AttentionNorm.Weight)!, loader.Vector(tensors.AttentionNorm.Bias)!);
        (attention, mlp) = (new PatchAttention(loader, config, tensors, rope), new NormedMlp(loader, tensors.Mlp, exact: false));
    }

    /// <summary>Computes it.</summary>
    /// <param name="work">Threads, kernels.</param>
    /// <param name="memory">Scratch.</param>
    /// <param name="grid">The picture's patches.</param>
    /// <param name="x">[patches, hidden] f32, changed.</param>
    public void Forward(Workspace work, VisionMemory memory, PatchGrid grid, float* x)
    {
        int patches = grid.Count, hidden = norm.Length;
        nint values = (nint)patches * hidden;
        float* normed = memory.Normalised.Floats(values), added = memory.Added.Floats(values);
        LayerNorm.Forward(work.Team, x, patches, norm, bias, VisionConfig.NormEpsilon, normed);
        attention.Forward(work, memory, grid, normed, added);
        Add();
        mlp.Forward(work, memory, x, patches, hidden, added);
        Add();

        void Add() => Attention.ForTokens(work, patches, patch =>
        {
            var row = new Span<float>(x + (nint)patch * hidden, hidden);
            TensorPrimitives.Add(row, new ReadOnlySpan<float>(added + (nint)patch * hidden, hidden), row);
        });
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        attention.Dispose();
        mlp.Dispose();
    }
}
