using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>One sequence's keys and values, every layer's, in f32. Memory comes by pages of 128 positions as the sequence grows.</summary>
public sealed unsafe class KvCache : IDisposable
{
    private readonly KvLayout layout;
    private readonly List<AlignedBuffer>[] pages;
    private readonly AlignedBuffer pointers;
    private readonly int pagesPerLayer;

    /// <summary>An empty cache.</summary>
    /// <param name="config">The model.</param>
    /// <param name="capacity">The longest sequence, in tokens.</param>
    /// <exception cref="ArgumentOutOfRangeException">The capacity isn't positive or exceeds the model's context.</exception>
    public KvCache(ModelConfig config, int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        if (capacity > config.MaxPositions)
            throw new ArgumentOutOfRangeException(nameof(capacity), $"a context of {capacity} tokens exceeds the model's {config.MaxPositions}");
        Capacity = capacity;
        layout = Attention.Layout(config.Attention);
        pages = [.. Enumerable.Range(0, config.Layers).Select(_ => new List<AlignedBuffer>())];
        pagesPerLayer = (capacity + KvLayout.PageKeys - 1) / KvLayout.PageKeys;
        pointers = new AlignedBuffer((nuint)(pagesPerLayer * (long)config.Layers * sizeof(float*)));
    }

    /// <summary>Tokens that it holds.</summary>
    public int Length { get; private set; }

    /// <summary>Tokens that it can hold.</summary>
    public int Capacity { get; }

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

    /// <summary>A layer's pages, with room for <paramref name="tokens"/> more than <see cref="Length"/>.</summary>
    internal float** Pages(int layer, int tokens)
    {
        float** table = (float**)pointers.Pointer + (nint)layer * pagesPerLayer;
        var own = pages[layer];
        while (own.Count * KvLayout.PageKeys < Length + tokens)
        {
            var page = new AlignedBuffer(layout.PageBytes);
            table[own.Count] = (float*)page.Pointer;
            own.Add(page);
        }

        return table;
    }
}
