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
internal readonly record struct Segment(KvCache Cache, int First, int Count);

/// <summary>The attention block of one layer; families differ in how they project (<see cref="Project"/>), in nothing else.</summary>
internal abstract unsafe class Attention(AttentionConfig config, Rope rope, int ropeStart, int? window, int layer, Linear output) : IDisposable
{
    // Tokens whose keys are turned and stored by one thread at a time: some microseconds.
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
        int queryWidth = config.Heads * config.HeadSize, outputWidth = config.Heads * config.ValueSize;
        float* queries = work.Floats("queries", (nint)tokens * queryWidth);
        float* keys = work.Floats("keys", (nint)tokens * config.KeyValueHeads * config.HeadSize);
        float* values = work.Floats("values", (nint)tokens * config.KeyValueHeads * config.ValueSize);
        Project(work, x, tokens, queries, keys, values);

        float* attended = work.Floats("attended", (nint)tokens * outputWidth);
        var spans = new AttentionSegment[segments.Length];
        for (int i = 0; i < segments.Length; i++)
        {
            var segment = segments[i];
            float** pages = segment.Cache.Pages(layer, segment.Count);
            Store(work, segment, pages, queries, keys, values);
            spans[i] = new AttentionSegment
            {
                Queries = queries + (nint)segment.First * queryWidth,
                QueryStride = queryWidth,
                Output = attended + (nint)segment.First * outputWidth,
                OutputStride = outputWidth,
                Pages = pages,
                First = segment.Cache.Length,
                Count = segment.Count,
            };
        }

        var shape = new AttentionShape(config.Heads, Layout(config), config.SoftmaxScale, window);
        AttentionKernel.Forward(work.Team, shape, spans, count => work.Floats("attention", count));
        float* added = work.Floats("attention output", (nint)tokens * output.Outputs);
        output.Forward(work, attended, tokens, added);
        var sum = new Span<float>(y, checked(tokens * output.Outputs));
        TensorPrimitives.Add(sum, new ReadOnlySpan<float>(added, sum.Length), sum);
    }

    /// <summary>Frees the weights.</summary>
    public virtual void Dispose() => output.Dispose();

    /// <summary>Projects, normalises and clips; turning is the caller's.</summary>
    /// <param name="work">Threads, kernels, scratch.</param>
    /// <param name="x">[tokens, hidden].</param>
    /// <param name="tokens">Tokens.</param>
    /// <param name="queries">[tokens, heads · head size], written.</param>
    /// <param name="keys">[tokens, key-value heads · head size], written.</param>
    /// <param name="values">[tokens, key-value heads · value size], written.</param>
    protected abstract void Project(Workspace work, float* x, int tokens, float* queries, float* keys, float* values);

    // RoPE on queries and keys, keys and values into the cache.
    private void Store(Workspace work, Segment segment, float** pages, float* queries, float* keys, float* values)
    {
        var layout = Layout(config);
        int start = segment.Cache.Length;
        rope.Prepare(start + segment.Count);
        work.Team.For((segment.Count + TokensPerItem - 1) / TokensPerItem, (item, _) =>
        {
            for (int i = item * TokensPerItem; i < Math.Min(segment.Count, (item + 1) * TokensPerItem); i++)
            {
                nint row = segment.First + i;
                int position = start + i;
                for (int h = 0; h < config.Heads; h++)
                    Turn(queries + (row * config.Heads + h) * config.HeadSize, position);
                float* page = pages[position / KvLayout.PageKeys];
                for (int h = 0; h < config.KeyValueHeads; h++)
                {
                    float* key = keys + (row * config.KeyValueHeads + h) * config.HeadSize;
                    Turn(key, position);
                    layout.Write(
                        page,
                        position % KvLayout.PageKeys,
                        h,
                        new ReadOnlySpan<float>(key, config.HeadSize),
                        new ReadOnlySpan<float>(values + (row * config.KeyValueHeads + h) * config.ValueSize, config.ValueSize));
                }
            }
        });
    }

    private void Turn(float* head, int position) => rope.Apply(new Span<float>(head + ropeStart, config.HeadSize - ropeStart), position);
}
