using DualSparse.Engine.Loading;
using DualSparse.Kernels;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Packing;
using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>
/// What multi-head latent attention does by head: a head's key is W_UK·c and the shared positional part, its value W_UV·c, where c is
/// a position's latent. Two ways to the same sum, both through <see cref="AttentionKernel"/>:
/// <list type="bullet">
/// <item>Expanded: keys and values are made from the cached latents, for every position and each call anew.</item>
/// <item>To latents (arXiv 2405.04434 §2.1.2, "absorbed"): since q·(W_UK·c) = (W_UKᵀ·q)·c, queries come to the latents, which then are the
/// one key-value head of all query heads; the weighted latents become values by W_UV.</item>
/// </list>
/// </summary>
/// <remarks>
/// Multiply-adds, with V2-Lite's 16 heads of 128 + 64 and 128 and a rank of 512: a query on a key costs 16·(192 + 128) = 5,120 expanded
/// and 16·(576 + 512) = 17,408 to latents; expanding a position or bringing a query to the latents and back costs 16·(128 + 128)·512 = 2.1
/// million, either. So a prompt from its beginning is always cheaper expanded, a turn of m tokens behind a long context is from m = 171
/// on, and one query is far cheaper to latents. The ways round differently, so what a token is decides, and not its batch: those that the
/// model has generated go to latents, a prompt's however it is cut into calls the way that its turn as a whole is cheaper. All weights are
/// kept in the model's format, W_UK twice, since a panel is read along its inputs.
/// </remarks>
internal sealed unsafe class LatentHeads : IDisposable
{
    // Keys and values expanded at a time, by some of the heads: about what a last-level cache holds, however long the sequence is.
    private const long ExpandedBytes = 32 << 20;

    private readonly AttentionConfig config;
    private readonly MlaConfig mla;
    private readonly KvLayout cache;
    private readonly int? window;
    private readonly bool integers;
    private readonly HeadLinear keyUp;
    private readonly HeadLinear keyDown;
    private readonly HeadLinear valueUp;

    /// <summary>Loads the weights: W_UK, its transpose, and W_UV, each head's apart.</summary>
    public LatentHeads(ModelLoader loader, AttentionConfig config, MlaConfig mla, int? window, TensorSpec latentUp)
    {
        (this.config, this.mla, this.window, cache) = (config, mla, window, Attention.Layout(config, loader.Weights));
        integers = loader.Weights is WeightFormat.Int8 or WeightFormat.Int4;
        (keyUp, keyDown, valueUp) = loader.LatentHeads(latentUp, config.Heads, mla);
    }

    /// <summary>Whether tokens that were put in together, from the first to behind the last, are cheaper to latents.</summary>
    /// <remarks>
    /// By multiply-adds, which meets what was measured (benchmarks, <c>turns</c>): V2-Lite's shape on Zen 4 breaks even, behind 512 and 2,048 tokens, at some 145 and
    /// 165 in bf16 (here 149 and 165), at 100 and 108 in int8 (here 80 and 84).
    /// </remarks>
    public bool LatentsCostLess(Range appended)
    {
        long before = appended.Start.Value, count = appended.End.Value - before;
        long perPosition = (long)(mla.NopeSize + mla.ValueSize) * mla.KvRank;
        long perPair = cache.KeySize + cache.ValueSize - config.HeadSize - mla.ValueSize;
        long pairs = count * before + count * (count + 1) / 2;
        // Integer weights take half the time, the attention of either way is in bf16.
        long pairTime = integers ? 2 : 1;
        // Both bring something to or from the latents count times: expanded the turn's own positions, to latents its queries.
        return before * perPosition > pairs * perPair * pairTime;
    }

    /// <summary>Attends to keys and values that are expanded for it.</summary>
    /// <param name="pass">Threads, kernels, memory.</param>
    /// <param name="segments">Queries [count, heads · (nope + rope)], output [count, heads · value size], pages of latents.</param>
    public void AttendExpanded(Pass pass, AttentionSegment[] segments)
    {
        foreach (var segment in segments)
        {
            int positions = segment.First + segment.Count;
            float* latents = Latents(pass, segment.Pages, positions);
            long bytesAHead = Pages(positions) * (long)Expanded(heads: 1).PageBytes;
            int group = (int)Math.Clamp(ExpandedBytes / bytesAHead, 1, config.Heads);
            for (int head = 0; head < config.Heads; head += group)
                AttendExpanded(pass, segment, latents, head, Math.Min(group, config.Heads - head));
        }
    }

    /// <summary>Attends to the latents themselves.</summary>
    /// <param name="pass">Threads, kernels, memory.</param>
    /// <param name="segments">As for <see cref="AttendExpanded(Pass, AttentionSegment[])"/>; they follow one another in the batch.</param>
    public void AttendToLatents(Pass pass, AttentionSegment[] segments)
    {
        int rows = segments.Sum(s => s.Count), heads = config.Heads;
        int keyWidth = heads * cache.KeySize, valueWidth = heads * cache.ValueSize;
        var first = segments[0];
        float* queries = pass.Memory.LatentQueries.Floats((nint)rows * keyWidth);
        float* weighted = pass.Memory.WeightedLatents.Floats((nint)rows * valueWidth);
        keyDown.Forward(pass.Work, first.Queries, rows, first.QueryStride, config.HeadSize, queries, keyWidth, cache.KeySize);
        for (nint head = 0; head < (nint)rows * heads; head++)
        {
            float* positional = first.Queries + head / heads * first.QueryStride + head % heads * config.HeadSize + mla.NopeSize;
            new ReadOnlySpan<float>(positional, mla.RopeSize).CopyTo(new Span<float>(queries + head * cache.KeySize + mla.KvRank, mla.RopeSize));
        }

        var spans = new AttentionSegment[segments.Length];
        for (int i = 0, row = 0; i < spans.Length; row += segments[i++].Count)
        {
            spans[i] = segments[i] with
            {
                Queries = queries + (nint)row * keyWidth,
                QueryStride = keyWidth,
                Output = weighted + (nint)row * valueWidth,
                OutputStride = valueWidth,
            };
        }

        AttentionKernel.Forward(pass.Work, new AttentionShape(heads, cache, config.SoftmaxScale, window), spans);
        valueUp.Forward(pass.Work, weighted, rows, valueWidth, cache.ValueSize, first.Output, first.OutputStride, mla.ValueSize);
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        keyUp.Dispose();
        keyDown.Dispose();
        valueUp.Dispose();
    }

    private void AttendExpanded(Pass pass, AttentionSegment segment, float* latents, int firstHead, int heads)
    {
        int positions = segment.First + segment.Count;
        var layout = Expanded(heads);
        int pageCount = Pages(positions);
        byte* expanded = (byte*)pass.Memory.Expanded.Floats(pageCount * ((nint)layout.PageBytes / sizeof(float)));
        byte** pages = stackalloc byte*[pageCount];
        for (int i = 0; i < pageCount; i++)
            pages[i] = Page(i * KvLayout.PageKeys);
        pass.Work.Team.For(pageCount, (page, _) => layout.Clear(Page(page * KvLayout.PageKeys), positions - page * KvLayout.PageKeys));
        // A tile has as many rows as a page positions.
        keyUp.Forward(pass.Work, firstHead, heads, latents, positions, cache.KeySize, (head, number, first, count, tile) => layout.WriteKeys(
            Page(first), head, number, Math.Min(PanelLayout.Columns, mla.NopeSize - number), tile, PanelLayout.Columns, count));
        valueUp.Forward(pass.Work, firstHead, heads, latents, positions, cache.KeySize, (head, number, first, count, tile) => layout.WriteValues(
            Page(first), head, number, tile, count));
        pass.Work.Team.For(pageCount, (page, _) =>
        {
            int first = page * KvLayout.PageKeys, count = Math.Min(KvLayout.PageKeys, positions - first);
            float* shared = latents + (nint)first * cache.KeySize + mla.KvRank;
            for (int head = 0; head < heads; head++)
                layout.WriteKeys(Page(first), head, mla.NopeSize, mla.RopeSize, shared, cache.KeySize, count);
        });
        segment.Queries += firstHead * config.HeadSize;
        segment.Output += firstHead * mla.ValueSize;
        segment.Pages = pages;
        AttentionKernel.Forward(pass.Work, new AttentionShape(heads, layout, config.SoftmaxScale, window), [segment]);

        byte* Page(int position) => expanded + position / KvLayout.PageKeys * (nint)layout.PageBytes;
    }

    // [positions, rank + rope], dense, with room for a last panel of keys.
    private float* Latents(Pass pass, byte** pages, int positions)
    {
        float* latents = pass.Memory.CachedLatents.Floats((nint)Pages(positions) * KvLayout.PageKeys * cache.KeySize);
        Attention.ForTokens(pass.Work, positions, p => cache.ReadKey(
            pages[p / KvLayout.PageKeys], p % KvLayout.PageKeys, 0, new Span<float>(latents + (nint)p * cache.KeySize, cache.KeySize)));
        return latents;
    }

    // Where some heads' expanded keys and values lie.
    private KvLayout Expanded(int heads) => new(heads, config.HeadSize, mla.ValueSize, cache.Format);

    private static int Pages(int positions) => (int)KvLayout.PageCount(positions);
}
