using System.Numerics.Tensors;
using DualSparse.Engine.Loading;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>Queries, keys and values from one product, with the norms and the clipping that some families have (OLMoE, Qwen3-MoE).</summary>
internal sealed unsafe class GroupedQueryAttention : Attention
{
    private readonly AttentionConfig config;
    private readonly float epsilon;
    private readonly Linear qkv;
    private readonly float[]? queryNorm;
    private readonly float[]? keyNorm;

    /// <summary>Loads the weights.</summary>
    public GroupedQueryAttention(ModelLoader loader, ModelConfig model, Rope rope, int layer)
        : base(model.Attention, rope, 0, model.LayerPlan[layer].SlidingWindow, layer, Output(loader, model, layer))
    {
        (config, epsilon) = (model.Attention, model.NormEpsilon);
        var tensors = model.Tensors.Layer(layer).Attention;
        qkv = loader.Linear([tensors.Query!, tensors.Key!, tensors.Value!], [tensors.QueryBias, tensors.KeyBias, tensors.ValueBias]);
        (queryNorm, keyNorm) = (loader.Vector(tensors.QueryNorm), loader.Vector(tensors.KeyNorm));
    }

    /// <summary>The output projection, which every kind of attention has.</summary>
    public static Linear Output(ModelLoader loader, ModelConfig model, int layer)
    {
        var tensors = model.Tensors.Layer(layer).Attention;
        return loader.Linear([tensors.Output], [tensors.OutputBias]);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        qkv.Dispose();
    }

    /// <inheritdoc/>
    protected override Projections Project(Workspace work, float* x, int tokens)
    {
        int queryWidth = config.Heads * config.HeadSize, keyWidth = config.KeyValueHeads * config.HeadSize, width = qkv.Outputs;
        float* all = work.Floats("qkv", (nint)tokens * width);
        qkv.Forward(work, x, tokens, all);
        if (queryNorm is not null || keyNorm is not null || config.ClipQkv is not null)
        {
            ForTokens(work, tokens, t =>
            {
                var row = new Span<float>(all + (nint)t * width, width);
                Normalise(row[..queryWidth], queryNorm);
                Normalise(row.Slice(queryWidth, keyWidth), keyNorm);
                if (config.ClipQkv is { } limit)
                    TensorPrimitives.Clamp(row, -limit, limit, row);
            });
        }

        return new Projections
        {
            Queries = all,
            Keys = all + queryWidth,
            Values = all + queryWidth + keyWidth,
            QueryStride = width,
            KeyStride = width,
            ValueStride = width,
        };
    }

    // A weight as wide as the row is one norm over all heads; a narrower one is each head's own.
    private void Normalise(Span<float> row, float[]? weight)
    {
        if (weight is null)
            return;
        for (int i = 0; i < row.Length; i += weight.Length)
            RmsNorm.Forward(row.Slice(i, weight.Length), weight, epsilon, row.Slice(i, weight.Length));
    }
}
