using DualSparse.Engine.Loading;
using DualSparse.Engine.Ranks;
using DualSparse.Kernels;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>
/// One sequence's keys and values, or the latents that they come from, every layer's, in the format of <see cref="KvLayout.FormatFor"/>.
/// Memory is allocated in pages of 128 positions as the sequence grows, after a check that it is free.
/// </summary>
internal sealed unsafe class KvCache : IDisposable
{
    private readonly PagePool pool;
    private readonly bool ownsPool;
    private readonly List<KvPage> pages = [];
    private readonly AlignedBuffer pointers;
    private readonly int pagesPerList;
    private readonly int parts;

    /// <summary>An empty cache.</summary>
    /// <param name="config">The model.</param>
    /// <param name="weights">The format of its weights.</param>
    /// <param name="capacity">The longest sequence, in tokens.</param>
    /// <param name="cut">Whose heads it holds, each part's in lists of their own; null: all, together.</param>
    /// <param name="pool">Where its pages come from; null: from a pool of its own.</param>
    /// <exception cref="ArgumentOutOfRangeException">The capacity isn't positive or exceeds the model's context.</exception>
    public KvCache(ModelConfig config, WeightFormat weights, int capacity, TrunkCut? cut = null, PagePool? pool = null)
        : this(config, capacity, cut ?? TrunkCut.Whole, pool ?? Pool(config, weights, cut ?? TrunkCut.Whole, config.Layers), pool is null)
    {
    }

    private KvCache(ModelConfig config, int capacity, TrunkCut cut, PagePool pool, bool ownsPool)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        if (capacity > config.MaxPositions)
            throw new ArgumentOutOfRangeException(nameof(capacity), $"a context of {capacity} tokens exceeds the model's {config.MaxPositions}");
        (Capacity, this.pool, this.ownsPool) = (capacity, pool, ownsPool);
        parts = cut.Attention(config.Attention).Length;
        pagesPerList = (int)KvLayout.PageCount(capacity);
        pointers = new AlignedBuffer((nuint)(pagesPerList * (long)pool.Lists * sizeof(byte*)));
    }

    /// <summary>A pool for a model's sequences.</summary>
    /// <param name="config">The model.</param>
    /// <param name="weights">The format of its weights.</param>
    /// <param name="cut">Whose heads this process has.</param>
    /// <param name="layers">The layers that a page is of.</param>
    /// <param name="capacity">The most pages.</param>
    public static PagePool Pool(ModelConfig config, WeightFormat weights, TrunkCut cut, int layers, int capacity = int.MaxValue) =>
        new(Attention.Layout(cut.OfAttention(config.Attention), weights), layers * cut.Attention(config.Attention).Length, capacity);

    /// <summary>A cache with pages for some layers, which later ones overwrite: for layers that run so many at a time over a whole text.</summary>
    internal static KvCache OfLayers(ModelConfig config, WeightFormat weights, int capacity, TrunkCut cut, int layers) =>
        new(config, capacity, cut, Pool(config, weights, cut, layers), ownsPool: true);

    /// <summary>The number of tokens that it holds.</summary>
    public int Length { get; private set; }

    /// <summary>The number of tokens that it can hold.</summary>
    public int Capacity { get; }

    /// <summary>Returns the memory that is free, in bytes.</summary>
    internal Func<long> FreeBytes { get; set; } = MemoryBudget.AvailableBytes;

    /// <summary>Its pages, in the text's order; the last may be partly filled.</summary>
    internal IReadOnlyList<KvPage> Held => pages;

    private byte** List(int index) => (byte**)pointers.Pointer + (nint)index * pagesPerList;

    /// <summary>Removes all but the first <paramref name="length"/> tokens; their memory is kept for later ones.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It holds fewer tokens.</exception>
    public void Truncate(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Length);
        Length = length;
    }

    /// <summary>Whether it has been disposed.</summary>
    internal bool IsDisposed { get; private set; }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        if (IsDisposed)
            return;
        IsDisposed = true;
        foreach (var page in pages)
            page.Release();
        pages.Clear();
        if (ownsPool)
            pool.Dispose();
        pointers.Dispose();
    }

    /// <summary>Begins an empty cache with what another sequence has computed: full pages are shared, of a last one the first tokens are copied.</summary>
    /// <param name="full">Full pages.</param>
    /// <param name="tail">The page after them; null: none.</param>
    /// <param name="tailTokens">The tokens taken of it.</param>
    /// <exception cref="InsufficientMemoryException">There is no page for the copy; the cache stays empty.</exception>
    internal void Adopt(IReadOnlyList<KvPage> full, KvPage? tail, int tailTokens)
    {
        if (pages.Count > 0)
            throw new InvalidOperationException("the cache isn't empty");
        var copy = tailTokens == 0 ? null : pool.Rent();
        copy?.CopyFrom(tail!);
        foreach (var page in full)
            Append(page.Hold());
        if (copy is not null)
            Append(copy);
        Length = full.Count * KvLayout.PageKeys + tailTokens;
    }

    /// <summary>Counts tokens whose keys and values every layer has written.</summary>
    internal void Advance(int tokens) => Length += tokens;

    /// <summary>A layer's pages, of the heads of one of this process's parts; Reserve has made room in them.</summary>
    internal byte** Pages(int layer, int part) => List((layer * parts + part) % pool.Lists);

    /// <summary>Checks that there is memory for <paramref name="tokens"/> more tokens, without allocating it.</summary>
    /// <exception cref="InsufficientMemoryException">There isn't enough memory.</exception>
    internal void RequireMemory(int tokens) => RequireMemory(MissingBytes(tokens), tokens, FreeBytes);

    /// <summary>Makes room in every layer for the next tokens of several sequences; if that fails, no sequence changes.</summary>
    /// <exception cref="InsufficientMemoryException">There isn't enough memory.</exception>
    internal static void Reserve(ReadOnlySpan<SequenceChunk> batch)
    {
        long bytes = 0;
        int tokens = 0, pages = 0;
        foreach (var chunk in batch)
        {
            bytes += chunk.Cache.MissingBytes(chunk.Ids.Length);
            tokens += chunk.Ids.Length;
            pages += chunk.Cache.MissingPages(chunk.Ids.Length);
        }

        // Most tokens begin no page, and then the system isn't asked.
        if (pages == 0)
            return;
        RequireMemory(bytes, tokens, batch[0].Cache.FreeBytes);
        foreach (var chunk in batch)
            chunk.Cache.Reserve(chunk.Ids.Length);
    }

    private static void RequireMemory(long bytes, int tokens, Func<long> freeBytes)
    {
        if (bytes == 0)
            return;
        long free = freeBytes();
        if (bytes > free)
        {
            throw new InsufficientMemoryException(
                $"the keys and values of {tokens} more tokens of context need {MemoryBudget.Format(bytes)} of memory, {MemoryBudget.Format(free)} is free: "
                + "use a shorter context, fewer sequences at a time, narrower weights (int8, int4), or a larger machine");
        }
    }

    /// <summary>Pages that <paramref name="tokens"/> more tokens need beyond those that it has.</summary>
    internal int MissingPages(int tokens) => (int)Math.Max(0, KvLayout.PageCount((long)Length + tokens) - pages.Count);

    // Pages of a pool of several sequences may be there already.
    private long MissingBytes(int tokens) => ownsPool ? pool.PageBytes * MissingPages(tokens) : pool.MissingBytes(MissingPages(tokens));

    // If an allocation fails, the pages allocated before it are kept for the next try.
    private void Reserve(int tokens)
    {
        for (int missing = MissingPages(tokens); missing > 0; missing--)
            Append(pool.Rent());
    }

    private void Append(KvPage page)
    {
        for (int list = 0; list < pool.Lists; list++)
            List(list)[pages.Count] = page.List(list);
        pages.Add(page);
    }
}
