using DualSparse.Engine.Loading;
using DualSparse.Kernels;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>One sequence's keys and values, or the latents that they come from, every layer's, in the format of <see cref="KvLayout.FormatFor"/>. Memory comes by pages of 128 positions as the sequence grows, if as much is free.</summary>
internal sealed unsafe class KvCache : IDisposable
{
    private readonly KvLayout layout;
    private readonly List<AlignedBuffer>[] pages;
    private readonly AlignedBuffer pointers;
    private readonly int pagesPerLayer;

    /// <summary>An empty cache.</summary>
    /// <param name="config">The model.</param>
    /// <param name="weights">How its weights are kept.</param>
    /// <param name="capacity">The longest sequence, in tokens.</param>
    /// <exception cref="ArgumentOutOfRangeException">The capacity isn't positive or exceeds the model's context.</exception>
    public KvCache(ModelConfig config, WeightFormat weights, int capacity)
        : this(config, weights, capacity, config.Layers)
    {
    }

    // Where one layer at a time runs, one layer's room serves all of them in turn.
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

    /// <summary>A cache with room for one layer, which each layer overwrites: for layers that run one after the other over a whole text.</summary>
    internal static KvCache OfOneLayer(ModelConfig config, WeightFormat weights, int capacity) => new(config, weights, capacity, layers: 1);

    /// <summary>Tokens that it holds.</summary>
    public int Length { get; private set; }

    /// <summary>Tokens that it can hold.</summary>
    public int Capacity { get; }

    /// <summary>Tells how much memory is free: the system's own word.</summary>
    internal Func<long> FreeBytes { get; set; } = MemoryBudget.AvailableBytes;

    // Of one page in every layer.
    private nuint PageBytes => layout.PageBytes * (nuint)pages.Length;

    /// <summary>Forgets all but the first <paramref name="length"/> tokens; their memory is kept for those to come.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It doesn't hold so many.</exception>
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

    /// <summary>Compares what so many tokens more than <see cref="Length"/> take with the memory that is free, before any of it is taken.</summary>
    /// <exception cref="InsufficientMemoryException">They take more.</exception>
    internal void RequireMemory(int tokens) => RequireMemory(MissingBytes(tokens), tokens, FreeBytes);

    /// <summary>Makes room in every layer for the next tokens of several sequences, or changes nothing that counts.</summary>
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

        // Most tokens begin no page, and then there is nothing to ask the system for.
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
                $"the keys and values of {tokens} more tokens of context need {MemoryBudget.Show(bytes)} of memory, {MemoryBudget.Show(free)} is free: "
                + "take a shorter context, fewer at a time, narrower weights (int8, int4), or a larger machine");
        }
    }

    // Whole pages, of all layers.
    private long MissingBytes(int tokens)
    {
        int there = pages.Min(p => p.Count);
        return (long)PageBytes * Math.Max(0, KvLayout.PageCount((long)Length + tokens) - there);
    }

    // Pages that were made before one could not be had are kept for the next try.
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
            throw new InsufficientMemoryException($"the system gives no memory for the keys and values of {tokens} more tokens of context ({MemoryBudget.Show((long)PageBytes)} for each {KvLayout.PageKeys})", e);
        }
    }
}
