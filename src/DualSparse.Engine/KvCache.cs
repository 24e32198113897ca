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
    private readonly KvLayout layout;
    private readonly List<AlignedBuffer>[] pages;
    private readonly AlignedBuffer pointers;
    private readonly int pagesPerLayer;
    private readonly int parts;

    /// <summary>An empty cache.</summary>
    /// <param name="config">The model.</param>
    /// <param name="weights">The format of its weights.</param>
    /// <param name="capacity">The longest sequence, in tokens.</param>
    /// <param name="cut">Whose heads it holds, each part's in pages of their own; null: all, together.</param>
    /// <exception cref="ArgumentOutOfRangeException">The capacity isn't positive or exceeds the model's context.</exception>
    public KvCache(ModelConfig config, WeightFormat weights, int capacity, TrunkCut? cut = null)
        : this(config, weights, capacity, cut ?? TrunkCut.Whole, config.Layers)
    {
    }

    // If layers is 1, all layers share the pages, one after another.
    private KvCache(ModelConfig config, WeightFormat weights, int capacity, TrunkCut cut, int layers)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        if (capacity > config.MaxPositions)
            throw new ArgumentOutOfRangeException(nameof(capacity), $"a context of {capacity} tokens exceeds the model's {config.MaxPositions}");
        Capacity = capacity;
        layout = Attention.Layout(cut.OfAttention(config.Attention), weights);
        parts = cut.Attention(config.Attention).Length;
        pages = [.. Enumerable.Range(0, layers * parts).Select(_ => new List<AlignedBuffer>())];
        pagesPerLayer = (int)KvLayout.PageCount(capacity);
        pointers = new AlignedBuffer((nuint)(pagesPerLayer * (long)pages.Length * sizeof(byte*)));
    }

    /// <summary>A cache with pages for one layer, which each layer overwrites: for layers that run one after another over a whole text.</summary>
    internal static KvCache OfOneLayer(ModelConfig config, WeightFormat weights, int capacity, TrunkCut cut) => new(config, weights, capacity, cut, layers: 1);

    /// <summary>The number of tokens that it holds.</summary>
    public int Length { get; private set; }

    /// <summary>The number of tokens that it can hold.</summary>
    public int Capacity { get; }

    /// <summary>Returns the memory that is free, in bytes.</summary>
    internal Func<long> FreeBytes { get; set; } = MemoryBudget.AvailableBytes;

    private byte** List(int index) => (byte**)pointers.Pointer + (nint)index * pagesPerLayer;

    // Bytes of one page in every layer.
    private nuint PageBytes => layout.PageBytes * (nuint)pages.Length;

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
        IsDisposed = true;
        foreach (var page in pages.SelectMany(p => p))
            page.Dispose();
        pointers.Dispose();
    }

    /// <summary>Counts tokens whose keys and values every layer has written.</summary>
    internal void Advance(int tokens) => Length += tokens;

    /// <summary>A layer's pages, of the heads of one of this process's parts; Reserve has made room in them.</summary>
    internal byte** Pages(int layer, int part) => List((layer * parts + part) % pages.Length);

    /// <summary>Checks that there is memory for <paramref name="tokens"/> more tokens, without allocating it.</summary>
    /// <exception cref="InsufficientMemoryException">There isn't enough memory.</exception>
    internal void RequireMemory(int tokens) => RequireMemory(MissingBytes(tokens), tokens, FreeBytes);

    /// <summary>Makes room in every layer for the next tokens of several sequences; if that fails, no sequence changes.</summary>
    /// <exception cref="InsufficientMemoryException">There isn't enough memory.</exception>
    internal static void Reserve(ReadOnlySpan<SequenceChunk> batch)
    {
        long missing = 0;
        int tokens = 0;
        foreach (var chunk in batch)
        {
            missing += chunk.Cache.MissingBytes(chunk.Ids.Length);
            tokens += chunk.Ids.Length;
        }

        // Most tokens begin no page, and then the system isn't asked.
        if (missing == 0)
            return;
        RequireMemory(missing, tokens, batch[0].Cache.FreeBytes);
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

    // Whole pages, of all layers.
    private long MissingBytes(int tokens)
    {
        int there = pages.Min(p => p.Count);
        return (long)PageBytes * Math.Max(0, KvLayout.PageCount((long)Length + tokens) - there);
    }

    // If an allocation fails, the pages allocated before it are kept for the next try.
    private void Reserve(int tokens)
    {
        try
        {
            for (int list = 0; list < pages.Length; list++)
            {
                for (var own = pages[list]; own.Count < KvLayout.PageCount((long)Length + tokens);)
                {
                    var page = new AlignedBuffer(layout.PageBytes);
                    layout.Clear(page.Pointer, positions: 0);
                    List(list)[own.Count] = page.Pointer;
                    own.Add(page);
                }
            }
        }
        catch (OutOfMemoryException e)
        {
            throw new InsufficientMemoryException($"the system has no memory for the keys and values of {tokens} more tokens of context ({MemoryBudget.Format((long)PageBytes)} for each {KvLayout.PageKeys})", e);
        }
    }
}
