using System.Numerics.Tensors;
using DualSparse.Engine.Loading;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>Some tokens of a batch that follow one another in one sequence.</summary>
/// <param name="Cache">The sequence; its length is the first token's position.</param>
/// <param name="First">The first token's row in the batch.</param>
/// <param name="Count">Tokens.</param>
/// <param name="Generated">Whether the model chose them.</param>
internal readonly record struct Segment(KvCache Cache, int First, int Count, bool Generated = false);

/// <summary>Where the tokens' projections lie: the first token's, and how many floats further the next one's.</summary>
internal unsafe struct Projections
{
    /// <summary>[tokens, heads · head size].</summary>
    public float* Queries;

    /// <summary>[tokens, key-value heads · head size].</summary>
    public float* Keys;

    /// <summary>[tokens, key-value heads · value size].</summary>
    public float* Values;

    /// <summary>Floats from one token's queries to the next's.</summary>
    public nint QueryStride;

    /// <summary>Floats from one token's keys to the next's.</summary>
    public nint KeyStride;

    /// <summary>Floats from one token's values to the next's.</summary>
    public nint ValueStride;
}

/// <summary>The attention block of one layer; families differ in how they project (<see cref="Project"/>), in nothing else.</summary>
internal abstract unsafe class Attention(AttentionConfig config, Rope rope, int ropeStart, int? window, int layer, Linear output) : IDisposable
{
    // Tokens that one thread normalises, turns, stores or adds at a time: some microseconds.
    private const int TokensPerItem = 4;

    /// <summary>How a model's keys and values lie in its cache.</summary>
    public static KvLayout Layout(AttentionConfig config) => new(config.KeyValueHeads, config.HeadSize, config.ValueSize);

    /// <summary>Loads a layer's attention.</summary>
    public static Attention Load(ModelLoader loader, ModelConfig config, Rope rope, int layer) => config.Attention.Mla is { } mla
        ? new LatentAttention(loader, config, mla, rope, layer)
        : new GroupedQueryAttention(loader, config, rope, layer);

    /// <summary>Adds the block's output to y, and the tokens' keys and values to their caches.</summary>
    /// <param name="work">Threads, kernels, scratch.</param>
    /// <param name="segments">The batch's sequences.</param>
    /// <param name="x">[tokens, hidden] f32, normalised.</param>
    /// <param name="tokens">Tokens.</param>
    /// <param name="y">[tokens, hidden] f32, added to.</param>
    public void Forward(Workspace work, Segment[] segments, float* x, int tokens, float* y)
    {
        int outputWidth = config.Heads * config.ValueSize;
        var projected = Project(work, x, tokens);
        float* attended = work.Floats("attended", (nint)tokens * outputWidth);
        var spans = new AttentionSegment[segments.Length];
        for (int i = 0; i < segments.Length; i++)
        {
            var segment = segments[i];
            float** pages = segment.Cache.Pages(layer);
            Store(work, segment, pages, projected);
            spans[i] = new AttentionSegment
            {
                Queries = projected.Queries + segment.First * projected.QueryStride,
                QueryStride = projected.QueryStride,
                Output = attended + (nint)segment.First * outputWidth,
                OutputStride = outputWidth,
                Pages = pages,
                First = segment.Cache.Length,
                Count = segment.Count,
            };
        }

        var shape = new AttentionShape(config.Heads, Layout(config), config.SoftmaxScale, window);
        AttentionKernel.Forward(work.Team, shape, spans, count => work.Floats("attention", count));
        int width = output.Outputs;
        float* added = work.Floats("attention output", (nint)tokens * width);
        output.Forward(work, attended, tokens, added);
        ForTokens(work, tokens, t =>
        {
            var sum = new Span<float>(y + (nint)t * width, width);
            TensorPrimitives.Add(sum, new ReadOnlySpan<float>(added + (nint)t * width, width), sum);
        });
    }

    /// <summary>Frees the weights.</summary>
    public virtual void Dispose() => output.Dispose();

    /// <summary>Calls a body for each token, on all threads.</summary>
    protected static void ForTokens(Workspace work, int tokens, Action<int> body) =>
        work.Team.For((tokens + TokensPerItem - 1) / TokensPerItem, (item, _) =>
        {
            for (int t = item * TokensPerItem; t < Math.Min(tokens, (item + 1) * TokensPerItem); t++)
                body(t);
        });

    /// <summary>Projects, normalises and clips; turning is the caller's.</summary>
    /// <param name="work">Threads, kernels, scratch.</param>
    /// <param name="x">[tokens, hidden].</param>
    /// <param name="tokens">Tokens.</param>
    protected abstract Projections Project(Workspace work, float* x, int tokens);

    // RoPE on queries and keys, keys and values into the cache.
    private void Store(Workspace work, Segment segment, float** pages, Projections projected)
    {
        var layout = Layout(config);
        int start = segment.Cache.Length;
        rope.Prepare(start + segment.Count);
        ForTokens(work, segment.Count, t =>
        {
            nint row = segment.First + t;
            int position = start + t;
            for (int h = 0; h < config.Heads; h++)
                Turn(projected.Queries + row * projected.QueryStride + h * config.HeadSize, position);
            for (int h = 0; h < config.KeyValueHeads; h++)
            {
                float* key = projected.Keys + row * projected.KeyStride + h * config.HeadSize;
                Turn(key, position);
                layout.Write(
                    pages[position / KvLayout.PageKeys],
                    position % KvLayout.PageKeys,
                    h,
                    new ReadOnlySpan<float>(key, config.HeadSize),
                    new ReadOnlySpan<float>(projected.Values + row * projected.ValueStride + h * config.ValueSize, config.ValueSize));
            }
        });
    }

    private void Turn(float* head, int position) => rope.Apply(new Span<float>(head + ropeStart, config.HeadSize - ropeStart), position);
}
