using DualSparse.Engine.Loading;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>
/// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434 §2.1): keys and values come from one small latent a token, queries too
/// in the larger models; the part of a key that carries the position is shared by all heads. The cache holds the latent, normalised,
/// and the shared part, turned: what <see cref="LatentHeads"/> attends to.
/// </summary>
internal sealed unsafe class LatentAttention : Attention
{
    private readonly AttentionConfig config;
    private readonly MlaConfig mla;
    private readonly float epsilon;
    private readonly Rope rope;
    private readonly KvLayout layout;
    private readonly Linear? queryDown;
    private readonly float[]? queryNorm;
    private readonly Linear query;
    private readonly Linear latentDown;
    private readonly float[] latentNorm;
    private readonly LatentHeads heads;

    /// <summary>Loads the weights.</summary>
    public LatentAttention(ModelLoader loader, ModelConfig model, MlaConfig mla, Rope rope, int layer)
        : base(model.Attention, rope, layer, Output(loader, model, layer))
    {
        (config, this.mla, epsilon, this.rope, layout) = (model.Attention, mla, model.NormEpsilon, rope, Layout(model.Attention, loader.Weights));
        var tensors = model.Tensors.Layer(layer).Attention;
        if (tensors.QueryDown is { } down)
        {
            queryDown = loader.Linear([down], [tensors.QueryDownBias]);
            queryNorm = loader.Vector(tensors.QueryLatentNorm);
        }

        query = loader.Linear([tensors.QueryUp ?? tensors.Query!]);
        latentDown = loader.Linear([tensors.LatentDown!], [tensors.LatentDownBias]);
        latentNorm = loader.Vector(tensors.LatentNorm)!;
        heads = new LatentHeads(loader, config, mla, model.LayerPlan[layer].SlidingWindow, tensors.LatentUp!);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        queryDown?.Dispose();
        query.Dispose();
        latentDown.Dispose();
        heads.Dispose();
    }

    /// <inheritdoc/>
    protected override void Attend(Workspace work, Segment[] segments, float* x, int tokens, float* attended)
    {
        int queryWidth = query.Outputs, latentWidth = latentDown.Outputs;
        float* queries = Queries(work, x, tokens);
        float* latents = work.Floats("latent", (nint)tokens * latentWidth);
        latentDown.Forward(work, x, tokens, latents);
        Normalise(work, latents, tokens, latentWidth, latentNorm);
        foreach (var segment in segments)
        {
            ForPositions(work, segment, (row, position, page, slot) =>
            {
                for (int h = 0; h < config.Heads; h++)
                    Turn(queries + row * queryWidth + h * config.HeadSize + mla.NopeSize, position);
                Turn(latents + row * latentWidth + mla.KvRank, position);
                // The value is the key without its positional part.
                layout.Write(
                    page, slot, 0, new ReadOnlySpan<float>(latents + row * latentWidth, latentWidth), new ReadOnlySpan<float>(latents + row * latentWidth, mla.KvRank));
            });
        }

        var spans = Spans(segments, queries, queryWidth, attended);
        // Neighbours that go the same way together: mostly all of them.
        for (int first = 0, end; first < segments.Length; first = end)
        {
            bool toLatents = ToLatents(segments[first]);
            for (end = first + 1; end < segments.Length && ToLatents(segments[end]) == toLatents;)
                end++;
            if (toLatents)
                heads.AttendToLatents(work, spans[first..end]);
            else
                heads.AttendExpanded(work, spans[first..end]);
        }
    }

    private bool ToLatents(Segment segment) => segment.Generated || segment.Cache.Turn is { } turn && heads.LatentsCostLess(turn);

    private float* Queries(Workspace work, float* x, int tokens)
    {
        float* queries = work.Floats("queries", (nint)tokens * query.Outputs);
        if (queryDown is null)
        {
            query.Forward(work, x, tokens, queries);
            return queries;
        }

        float* narrow = work.Floats("query latent", (nint)tokens * queryDown.Outputs);
        queryDown.Forward(work, x, tokens, narrow);
        Normalise(work, narrow, tokens, queryDown.Outputs, queryNorm!);
        query.Forward(work, narrow, tokens, queries);
        return queries;
    }

    private void Turn(float* positional, int position) => rope.Apply(new Span<float>(positional, mla.RopeSize), position);

    private void Normalise(Workspace work, float* x, int rows, int stride, float[] weight) =>
        RmsNorm.Forward(work.Team, x, rows, stride, weight, epsilon, x, stride);
}
