using System.Numerics.Tensors;
using DualSparse.Engine.Loading;
using DualSparse.Engine.Ranks;
using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>Queries, keys and values from one product, with the norms and the clipping that some families have (OLMoE, Qwen3-MoE).</summary>
internal sealed unsafe class GroupedQueryAttention : Attention
{
    private readonly AttentionConfig config;
    private readonly CutPart part;
    private readonly float epsilon;
    private readonly Rope rope;
    private readonly AttentionShape shape;
    private readonly Linear qkv;
    private readonly float[]? queryNorm;
    private readonly float[]? keyNorm;

    /// <summary>Loads the weights.</summary>
    public GroupedQueryAttention(ModelLoader loader, ModelConfig model, AttentionConfig config, Rope rope, int layer, CutPart part)
        : base(config, rope, layer, Output(loader, model, layer, part))
    {
        (this.config, this.part, epsilon, this.rope) = (config, part, model.NormEpsilon, rope);
        shape = new AttentionShape(config.Heads, Layout(config, loader.Weights), config.SoftmaxScale, model.LayerPlan[layer].SlidingWindow);
        var tensors = model.Tensors.Layer(layer).Attention;
        qkv = Stacked(loader, part, [tensors.Query!, tensors.Key!, tensors.Value!], [tensors.QueryBias, tensors.KeyBias, tensors.ValueBias]);
        (queryNorm, keyNorm) = (Norm(tensors.QueryNorm), Norm(tensors.KeyNorm));

        // One weight for all heads, or that of the part's own.
        float[]? Norm(TensorSpec? tensor) => loader.Vector(tensor) is not { } all ? null
            : config.QueryKeyNorm == QueryKeyNorm.PerHead ? all : [.. all.AsSpan(part.Range(all.Length).First, part.Range(all.Length).Count)];
    }

    /// <inheritdoc/>
    public override int NormSquares => config.QueryKeyNorm == QueryKeyNorm.FullWidth ? 2 : 0;

    private int QueryWidth => config.Heads * config.HeadSize;

    private int KeyWidth => config.KeyValueHeads * config.HeadSize;

    /// <inheritdoc/>
    public override void Project(Pass pass, float* x, int part, int parts)
    {
        nint size = (nint)pass.Rows * qkv.Outputs;
        var memory = pass.Memory.QueryKeyValue;
        qkv.Forward(pass.Work, x, pass.Rows, (part == 0 ? memory.Floats(parts * size) : memory.Current) + part * size);
    }

    /// <inheritdoc/>
    public override void Squares(Pass pass, int part, float* squares) => ForTokens(pass.Work, pass.Rows, t =>
    {
        var token = Token(pass, part, t);
        squares[2 * t] = RmsNorm.SumOfSquares(token[..QueryWidth]);
        squares[2 * t + 1] = RmsNorm.SumOfSquares(token.Slice(QueryWidth, KeyWidth));
    });

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        qkv.Dispose();
    }

    /// <inheritdoc/>
    protected override void Attend(Pass pass, float* x, int part, float* attended)
    {
        int queryWidth = QueryWidth, keyWidth = KeyWidth;
        foreach (var segment in pass.Segments)
        {
            ForPositions(pass, segment, part, (row, position, page, slot) =>
            {
                var token = Token(pass, part, row);
                Normalise(pass, row, 0, token[..queryWidth], queryNorm);
                Normalise(pass, row, 1, token.Slice(queryWidth, keyWidth), keyNorm);
                if (config.ClipQkv is { } limit)
                    TensorPrimitives.Clamp(token, -limit, limit, token);
                var turn = rope.Turn(segment.Place(position), stackalloc float[rope.TurnRoom]);
                for (int h = 0; h < config.Heads + config.KeyValueHeads; h++)
                    rope.Rotate(token.Slice(h * config.HeadSize, config.HeadSize), turn);
                for (int h = 0; h < config.KeyValueHeads; h++)
                {
                    shape.Cache.Write(
                        page, slot, h, token.Slice(queryWidth + h * config.HeadSize, config.HeadSize),
                        token.Slice(queryWidth + keyWidth + h * config.ValueSize, config.ValueSize));
                }
            });
        }

        fixed (float* first = Token(pass, part, 0))
            AttentionKernel.Forward(pass.Work, shape, Spans(pass.Segments, part, first, qkv.Outputs, attended));
    }

    // Queries, keys and values of a row.
    private Span<float> Token(Pass pass, int part, nint row) => new(pass.Memory.QueryKeyValue.Current + (part * (nint)pass.Rows + row) * qkv.Outputs, qkv.Outputs);

    // A weight as wide as the row is one norm over all heads; a narrower one is a norm for each head.
    private void Normalise(Pass pass, nint row, int which, Span<float> values, float[]? weight)
    {
        if (weight is null)
            return;
        if (part.IsCut && NormSquares > 0)
        {
            // The mean is over the heads of all parts.
            RmsNorm.Forward(values, weight, pass.Memory.Squares.Current[NormSquares * row + which] / ((long)values.Length * part.Of), epsilon, values);
            return;
        }

        for (int i = 0; i < values.Length; i += weight.Length)
            RmsNorm.Forward(values.Slice(i, weight.Length), weight, epsilon, values.Slice(i, weight.Length));
    }
}
