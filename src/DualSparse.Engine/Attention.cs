using DualSparse.Engine.Loading;
using DualSparse.Engine.Ranks;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>Some or all heads of a layer's attention; families differ in their projections and in what they cache (<see cref="Attend"/>).</summary>
/// <param name="config">These heads.</param>
/// <param name="rope">RoPE.</param>
/// <param name="layer">The layer's index.</param>
/// <param name="output">The output projection of these heads.</param>
internal abstract unsafe class Attention(AttentionConfig config, Rope rope, int layer, Linear output) : IDisposable
{
    // Tokens that one thread normalises, rotates or stores at a time: a few microseconds.
    private const int TokensPerItem = 4;

    /// <summary>The layout of a model's KV cache: keys and values by head, or the latent that they all come from.</summary>
    public static KvLayout Layout(AttentionConfig config, WeightFormat weights) => config.Mla is { } mla
        ? new(1, mla.KvRank + mla.RopeSize, mla.KvRank, KvLayout.FormatFor(weights))
        : new(config.KeyValueHeads, config.HeadSize, config.ValueSize, KvLayout.FormatFor(weights));

    /// <summary>Loads the heads of a part.</summary>
    /// <param name="loader">The checkpoint.</param>
    /// <param name="model">The model.</param>
    /// <param name="config">The heads of one part.</param>
    /// <param name="rope">RoPE.</param>
    /// <param name="layer">The layer's index.</param>
    /// <param name="part">The part.</param>
    public static Attention Load(ModelLoader loader, ModelConfig model, AttentionConfig config, Rope rope, int layer, CutPart part) => config.Mla is { } mla
        ? new LatentAttention(loader, model, config, mla, rope, layer, part)
        : new GroupedQueryAttention(loader, model, config, rope, layer, part);

    /// <summary>Sums of squares a row that a norm over the width of all parts needs; 0: there is no such norm.</summary>
    public virtual int NormSquares => 0;

    /// <summary>What comes before the sums of squares, if they are needed.</summary>
    /// <param name="pass">The rows.</param>
    /// <param name="x">[rows, hidden] f32, normalised.</param>
    /// <param name="part">This part among those of this process.</param>
    /// <param name="parts">How many these are.</param>
    public virtual void Project(Pass pass, float* x, int part, int parts)
    {
    }

    /// <summary>This part's sums of squares.</summary>
    /// <param name="pass">The rows.</param>
    /// <param name="part">This part among those of this process.</param>
    /// <param name="squares">[rows, <see cref="NormSquares"/>], overwritten.</param>
    public virtual void Squares(Pass pass, int part, float* squares)
    {
        // None are needed.
    }

    /// <summary>Computes what these heads add, and appends the tokens' keys and values to their caches.</summary>
    /// <param name="pass">The rows' sequences; memory.</param>
    /// <param name="x">[rows, hidden] f32, normalised.</param>
    /// <param name="part">This part among those of this process.</param>
    /// <param name="y">[rows, hidden] f32, overwritten.</param>
    public void Forward(Pass pass, float* x, int part, float* y)
    {
        float* attended = pass.Memory.Attended.Floats((nint)pass.Rows * config.Heads * config.ValueSize);
        Attend(pass, x, part, attended);
        output.Forward(pass.Work, attended, pass.Rows, y);
    }

    /// <summary>Frees the weights.</summary>
    public virtual void Dispose() => output.Dispose();

    /// <summary>The output projection of a part, which both kinds of attention have; its bias is the first part's.</summary>
    protected static Linear Output(ModelLoader loader, ModelConfig model, int layer, CutPart part)
    {
        var tensors = model.Tensors.Layer(layer).Attention;
        var (first, count) = part.Range((int)tensors.Output.Shape[1]);
        return loader.Linear([WeightSlice.Of(tensors.Output).ColumnRange(first, count)], part.Index > 0 ? null : loader.Vector(tensors.OutputBias));
    }

    /// <summary>Projections with the same input, stacked, of a part's heads.</summary>
    protected static Linear Stacked(ModelLoader loader, CutPart part, TensorSpec[] tensors, TensorSpec?[] biases)
    {
        var rows = tensors.Select(tensor => part.Range((int)tensor.Shape[0])).ToArray();
        float[]? bias = biases.All(b => b is null) ? null : [.. biases.SelectMany((b, i) => loader.Vector(b!)!.AsSpan(rows[i].First, rows[i].Count).ToArray())];
        return loader.Linear([.. tensors.Select((tensor, i) => WeightSlice.Of(tensor).RowRange(rows[i].First, rows[i].Count))], bias);
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
    protected void ForPositions(Pass pass, Segment segment, int part, PositionBody body)
    {
        byte** pages = segment.Cache.Pages(layer, part);
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
    /// <param name="part">This part among those of this process.</param>
    /// <param name="queries">[rows, heads · head size] f32.</param>
    /// <param name="stride">Floats from one token's queries to the next's.</param>
    /// <param name="attended">[tokens, heads · value size] f32.</param>
    protected AttentionSegment[] Spans(Segment[] segments, int part, float* queries, nint stride, float* attended)
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
                Pages = s.Cache.Pages(layer, part),
                First = s.Cache.Length,
                Count = s.Count,
            }),
        ];
    }

    /// <summary>Projects and rotates the tokens, writes them to the cache, and computes attention.</summary>
    /// <param name="pass">The rows' sequences; memory.</param>
    /// <param name="x">[rows, hidden] f32, normalised.</param>
    /// <param name="part">This part among those of this process.</param>
    /// <param name="attended">[rows, heads · value size] f32, overwritten.</param>
    protected abstract void Attend(Pass pass, float* x, int part, float* attended);

    /// <summary>Processes one token of a segment.</summary>
    protected delegate void PositionBody(nint row, int position, byte* page, int slot);
}
