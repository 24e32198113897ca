using DualSparse.Engine.Loading;
using DualSparse.Engine.Ranks;
using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>
/// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434 §2.1): keys and values come from one small latent a token, queries too
/// in the larger models; the part of a key that carries the position is shared by all heads. The cache holds the normalised latent and the
/// rotated shared part, which <see cref="LatentHeads"/> attends to.
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
    public LatentAttention(ModelLoader loader, ModelConfig model, AttentionConfig config, MlaConfig mla, Rope rope, int layer, CutPart part)
        : base(config, rope, layer, Output(loader, model, layer, part))
    {
        (this.config, this.mla, epsilon, this.rope, layout) = (config, mla, mla.LatentNormEpsilon, rope, Layout(config, loader.Weights));
        var tensors = model.Tensors.Layer(layer).Attention;
        if (tensors.QueryDown is { } down)
        {
            queryDown = loader.Linear([WeightSlice.Of(down)], loader.Vector(tensors.QueryDownBias));
            queryNorm = loader.Vector(tensors.QueryLatentNorm);
        }

        query = Stacked(loader, part, [tensors.QueryUp ?? tensors.Query!], [null]);
        latentDown = loader.Linear([WeightSlice.Of(tensors.LatentDown!)], loader.Vector(tensors.LatentDownBias));
        latentNorm = loader.Vector(tensors.LatentNorm)!;
        heads = new LatentHeads(loader, config, mla, model.LayerPlan[layer].SlidingWindow, tensors.LatentUp!, part.Range(model.Attention.Heads).First);
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
    protected override void Attend(Pass pass, float* x, int part, float* attended)
    {
        int queryWidth = query.Outputs, latentWidth = latentDown.Outputs;
        var segments = pass.Segments;
        float* queries = Queries(pass, x);
        float* latents = pass.Memory.RowLatents.Floats((nint)pass.Rows * latentWidth);
        latentDown.Forward(pass.Work, x, pass.Rows, latents);
        Normalise(pass, latents, latentWidth, latentNorm);
        foreach (var segment in segments)
        {
            ForPositions(pass, segment, part, (row, position, page, slot) =>
            {
                for (int h = 0; h < config.Heads; h++)
                    Rotate(queries + row * queryWidth + h * config.HeadSize + mla.NopeSize, position);
                Rotate(latents + row * latentWidth + mla.KvRank, position);
                // The value is the key without its positional part.
                layout.Write(
                    page, slot, 0, new ReadOnlySpan<float>(latents + row * latentWidth, latentWidth), new ReadOnlySpan<float>(latents + row * latentWidth, mla.KvRank));
            });
        }

        var spans = Spans(segments, part, queries, queryWidth, attended);
        // Neighbouring segments of the same kind in one call: mostly all of them.
        for (int first = 0, end; first < segments.Length; first = end)
        {
            bool absorbed = IsAbsorbed(segments[first]);
            for (end = first + 1; end < segments.Length && IsAbsorbed(segments[end]) == absorbed;)
                end++;
            if (absorbed)
                heads.AttendAbsorbed(pass, spans[first..end]);
            else
                heads.AttendExpanded(pass, spans[first..end]);
        }
    }

    private bool IsAbsorbed(Segment segment) => segment.Generated || segment.Appended is { } appended && heads.AbsorbedIsCheaper(appended);

    private float* Queries(Pass pass, float* x)
    {
        float* queries = pass.Memory.Queries.Floats((nint)pass.Rows * query.Outputs);
        if (queryDown is null)
        {
            query.Forward(pass.Work, x, pass.Rows, queries);
            return queries;
        }

        float* narrow = pass.Memory.QueryLatents.Floats((nint)pass.Rows * queryDown.Outputs);
        queryDown.Forward(pass.Work, x, pass.Rows, narrow);
        Normalise(pass, narrow, queryDown.Outputs, queryNorm!);
        query.Forward(pass.Work, narrow, pass.Rows, queries);
        return queries;
    }

    private void Rotate(float* positional, int position) => rope.Rotate(new Span<float>(positional, mla.RopeSize), position);

    private void Normalise(Pass pass, float* x, int stride, float[] weight) =>
        RmsNorm.Forward(pass.Work.Team, x, pass.Rows, stride, weight, epsilon, x, stride);
}
