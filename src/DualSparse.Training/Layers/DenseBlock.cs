using System.Runtime.InteropServices;
using DualSparse.Kernels.Memory;
using DualSparse.Models;
using DualSparse.Training.Ops;
using DualSparse.Training.Products;

namespace DualSparse.Training.Layers;

/// <summary>h += mlp(norm(h)).</summary>
internal sealed unsafe class DenseBlock : IBlock
{
    private readonly int hidden;
    private readonly Norm norm;
    private readonly GatedMlp mlp;
    private readonly ScratchBuffer x = new(), normalised = new();

    /// <summary>Takes a layer's tensors.</summary>
    public DenseBlock(Arithmetic arithmetic, ParameterSet set, ModelConfig model, int layer)
    {
        var tensors = model.Tensors.Layer(layer);
        hidden = model.HiddenSize;
        norm = new Norm(set, set.Find(tensors.PostAttentionNorm));
        mlp = new GatedMlp(arithmetic, set, tensors.Mlp!);
    }

    /// <inheritdoc/>
    public IEnumerable<Linear> Maps => mlp.Maps;

    /// <inheritdoc/>
    public void Forward(TrainingPass pass, float* h)
    {
        nint size = (nint)pass.Tokens * hidden;
        float* from = x.Floats(size), n = normalised.Floats(size);
        NativeMemory.Copy(h, from, (nuint)size * sizeof(float));
        norm.Forward(pass, from, 1, n);
        mlp.Forward(pass, n, h, add: true);
    }

    /// <inheritdoc/>
    public void Backward(TrainingPass pass, float* dh)
    {
        float* dn = pass.Normalised.Floats((nint)pass.Tokens * hidden);
        mlp.Backward(pass, normalised.Current, dh, dn, add: false);
        norm.Backward(pass, dn, x.Current, 1, dh, add: true);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var one in new IDisposable[] { norm, mlp, x, normalised })
            one.Dispose();
    }
}
