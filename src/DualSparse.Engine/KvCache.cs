using DualSparse.Engine.Loading;
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

    /// <summary>An empty cache.</summary>
    /// <param name="config">The model.</param>
    /// <param name="weights">The format of its weights.</param>
    /// <param name="capacity">The longest sequence, in tokens.</param>
    /// <exception cref="ArgumentOutOfRangeException">The capacity isn't positive or exceeds the model's context.</exception>
    public KvCache(ModelConfig config, WeightFormat weights, int capacity)
        : this(config, weights, capacity, config.Layers)
    {
    }

    // If layers is 1, all layers share the pages, one after another.
    private KvCache(ModelConfig config, WeightFormat weights, int capacity, int layers)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        if (capacity > config.MaxPositions)
            throw new ArgumentOutOfRangeException(nameof(capacity), $"a context of {capacity} tokens exceeds the model's {config.MaxPositions}");
        Capacity = capacity;
        layout = Attention.Layout(config.Attention, weights);
        pages = [.. Enumerable.Range(0, layers).Select(_ => new List<AlignedBuffer>())];
        pagesPerLayer = (int)KvLayout.PageCount(capacity);
        pointers = new AlignedBuffer((nuint)(pagesPerLayer * (long)layers * sizeof(byte*)));
    }

    /// <summary>A cache with pages for one layer, which each layer overwrites: for layers that run one after another over a whole text.</summary>
    internal static KvCache OfOneLayer(ModelConfig config, WeightFormat weights, int capacity) => new(config, weights, capacity, layers: 1);

    /// <summary>The number of tokens that it holds.</summary>
    public int Length { get; private set; }

    /// <summary>The number of tokens that it can hold.</summary>
    public int Capacity { get; }

    /// <summary>Returns the memory that is free, in bytes.</summary>
    internal Func<long> FreeBytes { get; set; } = MemoryBudget.AvailableBytes;

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

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        foreach (var page in pages.SelectMany(p => p))
            page.Dispose();
        pointers.Dispose();
    }

    /// <summary>Counts tokens whose keys and values every layer has written.</summary>
    internal void Advance(int tokens) => Length += tokens;

    /// <summary>A layer's pages; Reserve has made room in them.</summary>
    internal byte** Pages(int layer) => (byte**)pointers.Pointer + (nint)(layer % pages.Length) * pagesPerLayer;

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
            for (int layer = 0; layer < pages.Length; layer++)
            {
                for (var own = pages[layer]; own.Count < KvLayout.PageCount((long)Length + tokens);)
                {
                    var page = new AlignedBuffer(layout.PageBytes);
                    layout.Clear(page.Pointer, positions: 0);
                    Pages(layer)[own.Count] = page.Pointer;
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
