using System.Numerics.Tensors;
using DualSparse.Engine.Loading;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>The attention block of one layer; families differ in their projections and in what they cache (<see cref="Attend"/>).</summary>
internal abstract unsafe class Attention(AttentionConfig config, Rope rope, int layer, Linear output) : IDisposable
{
    // Tokens that one thread normalises, rotates, stores or adds at a time: a few microseconds.
    private const int TokensPerItem = 4;

    /// <summary>The layout of a model's KV cache: keys and values by head, or the latent that they all come from.</summary>
    public static KvLayout Layout(AttentionConfig config, WeightFormat weights) => config.Mla is { } mla
        ? new(1, mla.KvRank + mla.RopeSize, mla.KvRank, KvLayout.FormatFor(weights))
        : new(config.KeyValueHeads, config.HeadSize, config.ValueSize, KvLayout.FormatFor(weights));

    /// <summary>Loads a layer's attention.</summary>
    public static Attention Load(ModelLoader loader, ModelConfig config, Rope rope, int layer) => config.Attention.Mla is { } mla
        ? new LatentAttention(loader, config, mla, rope, layer)
        : new GroupedQueryAttention(loader, config, rope, layer);

    /// <summary>Adds the block's output to y and appends the tokens' keys and values to their caches.</summary>
    /// <param name="pass">The rows' sequences; memory.</param>
    /// <param name="x">[rows, hidden] f32, normalised.</param>
    /// <param name="y">[rows, hidden] f32, added to.</param>
    public void Forward(Pass pass, float* x, float* y)
    {
        float* attended = pass.Memory.Attended.Floats((nint)pass.Rows * config.Heads * config.ValueSize);
        Attend(pass, x, attended);
        int width = output.Outputs;
        float* added = pass.Memory.AttentionOutput.Floats((nint)pass.Rows * width);
        output.Forward(pass.Work, attended, pass.Rows, added);
        ForTokens(pass.Work, pass.Rows, t =>
        {
            var sum = new Span<float>(y + (nint)t * width, width);
            TensorPrimitives.Add(sum, new ReadOnlySpan<float>(added + (nint)t * width, width), sum);
        });
    }

    /// <summary>Frees the weights.</summary>
    public virtual void Dispose() => output.Dispose();

    /// <summary>The output projection, which both kinds of attention have.</summary>
    protected static Linear Output(ModelLoader loader, ModelConfig model, int layer)
    {
        var tensors = model.Tensors.Layer(layer).Attention;
        return loader.Linear([tensors.Output], [tensors.OutputBias]);
    }

    /// <summary>Calls a body for each token, on all threads.</summary>
    internal static void ForTokens(Workspace work, int tokens, Action<int> body) =>
        work.Team.For((tokens + TokensPerItem - 1) / TokensPerItem, (item, _) =>
        {
            for (int t = item * TokensPerItem; t < Math.Min(tokens, (item + 1) * TokensPerItem); t++)
                body(t);
        });

    /// <summary>
    /// Calls a body (row in the batch, position, page, slot in it) for each token of a segment, on all threads; RoPE's tables cover its
    /// positions.
    /// </summary>
    protected void ForPositions(Pass pass, Segment segment, PositionBody body)
    {
        byte** pages = segment.Cache.Pages(layer);
        int start = segment.Cache.Length;
        rope.Prepare(start + segment.Count);
        ForTokens(pass.Work, segment.Count, t =>
        {
            int position = start + t;
            body(segment.First + t, position, pages[position / KvLayout.PageKeys], position % KvLayout.PageKeys);
        });
    }

    /// <summary>The segments in the kernel's form.</summary>
    /// <param name="segments">The pass's sequences.</param>
    /// <param name="queries">[rows, heads · head size] f32.</param>
    /// <param name="stride">Floats from one token's queries to the next's.</param>
    /// <param name="attended">[tokens, heads · value size] f32.</param>
    protected AttentionSegment[] Spans(Segment[] segments, float* queries, nint stride, float* attended)
    {
        nint width = (nint)config.Heads * config.ValueSize;
        return
        [
            .. segments.Select(s => new AttentionSegment
            {
                Queries = queries + s.First * stride,
                QueryStride = stride,
                Output = attended + s.First * width,
                OutputStride = width,
                Pages = s.Cache.Pages(layer),
                First = s.Cache.Length,
                Count = s.Count,
            }),
        ];
    }

    /// <summary>Projects and rotates the tokens, writes them to the cache, and computes attention.</summary>
    /// <param name="pass">The rows' sequences; memory.</param>
    /// <param name="x">[rows, hidden] f32, normalised.</param>
    /// <param name="attended">[rows, heads · value size] f32, overwritten.</param>
    protected abstract void Attend(Pass pass, float* x, float* attended);

    /// <summary>Processes one token of a segment.</summary>
    protected delegate void PositionBody(nint row, int position, byte* page, int slot);
}
