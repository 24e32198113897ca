using DualSparse.Engine.Loading;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>
/// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434 §2.1): keys and values come from one small latent a token, queries too
/// in the larger models; the part of a key that carries the position is shared by all heads. The cache holds them expanded.
/// </summary>
internal sealed unsafe class LatentAttention : Attention
{
    private readonly AttentionConfig config;
    private readonly MlaConfig mla;
    private readonly float epsilon;
    private readonly Linear? queryDown;
    private readonly float[]? queryNorm;
    private readonly Linear query;
    private readonly Linear latentDown;
    private readonly float[] latentNorm;
    private readonly Linear latentUp;

    /// <summary>Loads the weights.</summary>
    public LatentAttention(ModelLoader loader, ModelConfig model, MlaConfig mla, Rope rope, int layer)
        : base(model.Attention, rope, mla.NopeSize, model.LayerPlan[layer].SlidingWindow, layer, GroupedQueryAttention.Output(loader, model, layer))
    {
        (config, this.mla, epsilon) = (model.Attention, mla, model.NormEpsilon);
        var tensors = model.Tensors.Layer(layer).Attention;
        if (tensors.QueryDown is { } down)
        {
            queryDown = loader.Linear([down], [tensors.QueryDownBias]);
            queryNorm = loader.Vector(tensors.QueryLatentNorm);
        }

        query = loader.Linear([tensors.QueryUp ?? tensors.Query!]);
        latentDown = loader.Linear([tensors.LatentDown!], [tensors.LatentDownBias]);
        latentNorm = loader.Vector(tensors.LatentNorm)!;
        latentUp = loader.Linear([tensors.LatentUp!]);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        queryDown?.Dispose();
        query.Dispose();
        latentDown.Dispose();
        latentUp.Dispose();
    }

    /// <inheritdoc/>
    protected override Projections Project(Workspace work, float* x, int tokens)
    {
        int keyWidth = config.Heads * config.HeadSize, valueWidth = config.Heads * mla.ValueSize;
        float* queries = work.Floats("queries", (nint)tokens * keyWidth);
        float* keys = work.Floats("keys", (nint)tokens * keyWidth);
        float* values = work.Floats("values", (nint)tokens * valueWidth);
        if (queryDown is null)
        {
            query.Forward(work, x, tokens, queries);
        }
        else
        {
            float* narrow = work.Floats("query latent", (nint)tokens * queryDown.Outputs);
            queryDown.Forward(work, x, tokens, narrow);
            Normalise(work, narrow, tokens, queryDown.Outputs, queryNorm!);
            query.Forward(work, narrow, tokens, queries);
        }

        float* latent = work.Floats("latent", (nint)tokens * latentDown.Outputs);
        latentDown.Forward(work, x, tokens, latent);
        Normalise(work, latent, tokens, latentDown.Outputs, latentNorm);
        float* wide = work.Floats("keys and values", (nint)tokens * latentUp.Outputs);
        latentUp.Forward(work, latent, tokens, latentDown.Outputs, wide, latentUp.Outputs);
        ForTokens(work, tokens, t =>
        {
            var shared = new ReadOnlySpan<float>(latent + (nint)t * latentDown.Outputs + mla.KvRank, mla.RopeSize);
            for (int h = 0; h < config.Heads; h++)
            {
                nint head = (nint)t * config.Heads + h;
                float* source = wide + head * (mla.NopeSize + mla.ValueSize);
                var key = new Span<float>(keys + head * config.HeadSize, config.HeadSize);
                new ReadOnlySpan<float>(source, mla.NopeSize).CopyTo(key);
                shared.CopyTo(key[mla.NopeSize..]);
                new ReadOnlySpan<float>(source + mla.NopeSize, mla.ValueSize).CopyTo(new Span<float>(values + head * mla.ValueSize, mla.ValueSize));
            }
        });
        return new Projections
        {
            Queries = queries,
            Keys = keys,
            Values = values,
            QueryStride = keyWidth,
            KeyStride = keyWidth,
            ValueStride = valueWidth,
        };
    }

    private void Normalise(Workspace work, float* x, int rows, int stride, float[] weight) =>
        RmsNorm.Forward(work.Team, x, rows, stride, weight, epsilon, x, stride);
}
