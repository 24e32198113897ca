using DualSparse.Models;
using DualSparse.Training.Ops;
using DualSparse.Training.Products;

namespace DualSparse.Training.Layers;

/// <summary>h += mlp(norm(h)).</summary>
internal sealed unsafe class DenseBlock : IMlpBlock
{
    private readonly int hidden;
    private readonly GatedMlp mlp;

    /// <summary>Takes a layer's tensors.</summary>
    public DenseBlock(Arithmetic arithmetic, ParameterSet set, ModelConfig model, int layer)
    {
        var tensors = model.Tensors.Layer(layer);
        hidden = model.HiddenSize;
        Input = new BlockInput(set, set.Find(tensors.PostAttentionNorm));
        mlp = new GatedMlp(arithmetic, set, tensors.Mlp!);
    }

    /// <inheritdoc/>
    public BlockInput Input { get; }

    /// <inheritdoc/>
    public IEnumerable<Linear> Maps => mlp.Maps;

    /// <inheritdoc/>
    public void Forward(TrainingPass pass, float* h) => Begin(pass, h);

    /// <inheritdoc/>
    public void Backward(TrainingPass pass, float* dh) => Backward(pass, dh, dh);

    /// <inheritdoc/>
    public void Begin(TrainingPass pass, float* h) => mlp.Forward(pass, Input.Forward(pass, h), h, add: true);

    /// <inheritdoc/>
    public void End(TrainingPass pass, float* h)
    {
    }

    /// <inheritdoc/>
    public void Backward(TrainingPass pass, float* dRouted, float* dh)
    {
        float* dn = pass.Normalised.Floats((nint)pass.Tokens * hidden);
        mlp.Backward(pass, Input.Rows, dh, dn, add: false);
        Input.Backward(pass, dn, dh);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Input.Dispose();
        mlp.Dispose();
    }
}
