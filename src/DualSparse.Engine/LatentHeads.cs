using DualSparse.Engine.Loading;
using DualSparse.Kernels;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Packing;
using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>
/// Multi-head latent attention by head: a head's key is W_UK·c and the shared positional part, its value W_UV·c, where c is a position's
/// latent. There are two ways to compute it, both through <see cref="AttentionKernel"/>:
/// <list type="bullet">
/// <item>Expanded: keys and values are computed from the cached latents, for every position in each call.</item>
/// <item>Absorbed (arXiv 2405.04434 §2.1.2): since q·(W_UK·c) = (W_UKᵀ·q)·c, queries are multiplied by W_UKᵀ and the latents are the one
/// key-value head of all query heads; W_UV turns the weighted latents into values.</item>
/// </list>
/// </summary>
/// <remarks>
/// Multiply-adds, with V2-Lite's 16 heads of 128 + 64 and 128 and a rank of 512: a query on a key costs 16·(192 + 128) = 5,120 expanded and
/// 16·(576 + 512) = 17,408 absorbed; expanding a position or absorbing a query costs 16·(128 + 128)·512 = 2.1 million. So a prompt at the
/// beginning of a text is always cheaper expanded, m tokens appended to a long context are from m = 171 on, and one query is far cheaper
/// absorbed. The two round differently, so the kind of token decides and not its batch: generated tokens are absorbed; tokens that are
/// appended together, however they are cut into calls, are computed in the cheaper way for all of them. All weights are in the model's
/// format, W_UK twice, since a panel is read along its inputs.
/// </remarks>
internal sealed unsafe class LatentHeads : IDisposable
{
    // Keys and values expanded at a time, for some of the heads: about a last-level cache, however long the sequence is.
    private const long ExpandedBytes = 32 << 20;

    private readonly AttentionConfig config;
    private readonly MlaConfig mla;
    private readonly KvLayout cache;
    private readonly int? window;
    private readonly bool integers;
    private readonly HeadLinear keyUp;
    private readonly HeadLinear keyDown;
    private readonly HeadLinear valueUp;

    /// <summary>Loads the weights: W_UK, its transpose, and W_UV, by head, from <paramref name="firstHead"/> on.</summary>
    public LatentHeads(ModelLoader loader, AttentionConfig config, MlaConfig mla, int? window, TensorSpec latentUp, int firstHead)
    {
        (this.config, this.mla, this.window, cache) = (config, mla, window, Attention.Layout(config, loader.Weights));
        integers = loader.Weights is WeightFormat.Int8 or WeightFormat.Int4;
        (keyUp, keyDown, valueUp) = loader.LatentHeads(latentUp, firstHead, config.Heads, mla);
    }

    /// <summary>Whether attention of tokens that are appended together, at the given positions, is cheaper absorbed.</summary>
    /// <remarks>
    /// By multiply-adds, which agrees with measurements (benchmarks, <c>turns</c>): V2-Lite's shape on Zen 4 breaks even, after 512 and
    /// 2,048 tokens, at about 145 and 165 in bf16 (here 149 and 165), at 100 and 108 in int8 (here 80 and 84).
    /// </remarks>
    public bool AbsorbedIsCheaper(Range appended)
    {
        long before = appended.Start.Value, count = appended.End.Value - before;
        long perPosition = (long)(mla.NopeSize + mla.ValueSize) * mla.KvRank;
        long perPair = cache.KeySize + cache.ValueSize - config.HeadSize - mla.ValueSize;
        long pairs = count * before + count * (count + 1) / 2;
        // Products with integer weights take half the time; attention is in bf16 either way.
        long pairTime = integers ? 2 : 1;
        // Both multiply by W_UK and W_UV count times, which cancels: expanded for the new positions, absorbed for the queries.
        return before * perPosition > pairs * perPair * pairTime;
    }

    /// <summary>Attends to expanded keys and values.</summary>
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

    /// <summary>Attends to the latents with absorbed queries.</summary>
    /// <param name="pass">Threads, kernels, memory.</param>
    /// <param name="segments">As for <see cref="AttendExpanded(Pass, AttentionSegment[])"/>; they follow one another in the batch.</param>
    public void AttendAbsorbed(Pass pass, AttentionSegment[] segments)
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
        // A tile has as many rows as a page has positions.
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

    // The layout of some heads' expanded keys and values.
    private KvLayout Expanded(int heads) => new(heads, config.HeadSize, mla.ValueSize, cache.Format);

    private static int Pages(int positions) => (int)KvLayout.PageCount(positions);
}
