using System.Numerics.Tensors;
using DualSparse.Engine.Loading;
using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>Queries, keys and values from one product, with the norms and the clipping that some families have (OLMoE, Qwen3-MoE).</summary>
internal sealed unsafe class GroupedQueryAttention : Attention
{
    private readonly AttentionConfig config;
    private readonly float epsilon;
    private readonly Rope rope;
    private readonly AttentionShape shape;
    private readonly Linear qkv;
    private readonly float[]? queryNorm;
    private readonly float[]? keyNorm;

    /// <summary>Loads the weights.</summary>
    public GroupedQueryAttention(ModelLoader loader, ModelConfig model, Rope rope, int layer)
        : base(model.Attention, rope, layer, Output(loader, model, layer))
    {
        (config, epsilon, this.rope) = (model.Attention, model.NormEpsilon, rope);
        shape = new AttentionShape(config.Heads, Layout(config, loader.Weights), config.SoftmaxScale, model.LayerPlan[layer].SlidingWindow);
        var tensors = model.Tensors.Layer(layer).Attention;
        qkv = loader.Linear([tensors.Query!, tensors.Key!, tensors.Value!], [tensors.QueryBias, tensors.KeyBias, tensors.ValueBias]);
        (queryNorm, keyNorm) = (loader.Vector(tensors.QueryNorm), loader.Vector(tensors.KeyNorm));
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        qkv.Dispose();
    }

    /// <inheritdoc/>
    protected override void Attend(Pass pass, float* x, float* attended)
    {
        int queryWidth = config.Heads * config.HeadSize, keyWidth = config.KeyValueHeads * config.HeadSize, width = qkv.Outputs;
        float* all = pass.Memory.QueryKeyValue.Floats((nint)pass.Rows * width);
        qkv.Forward(pass.Work, x, pass.Rows, all);
        foreach (var segment in pass.Segments)
        {
            ForPositions(pass, segment, (row, position, page, slot) =>
            {
                var token = new Span<float>(all + row * width, width);
                Normalise(token[..queryWidth], queryNorm);
                Normalise(token.Slice(queryWidth, keyWidth), keyNorm);
                if (config.ClipQkv is { } limit)
                    TensorPrimitives.Clamp(token, -limit, limit, token);
                for (int h = 0; h < config.Heads + config.KeyValueHeads; h++)
                    rope.Rotate(token.Slice(h * config.HeadSize, config.HeadSize), position);
                for (int h = 0; h < config.KeyValueHeads; h++)
                {
                    shape.Cache.Write(
                        page, slot, h, token.Slice(queryWidth + h * config.HeadSize, config.HeadSize),
                        token.Slice(queryWidth + keyWidth + h * config.ValueSize, config.ValueSize));
                }
            });
        }

        AttentionKernel.Forward(pass.Work, shape, Spans(pass.Segments, all, width, attended));
    }

    // A weight as wide as the row is one norm over all heads; a narrower one is a norm for each head.
    private void Normalise(Span<float> row, float[]? weight)
    {
        if (weight is null)
            return;
        for (int i = 0; i < row.Length; i += weight.Length)
            RmsNorm.Forward(row.Slice(i, weight.Length), weight, epsilon, row.Slice(i, weight.Length));
    }
}
