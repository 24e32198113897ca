using DualSparse.Engine.Loading;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Ops;

namespace DualSparse.Engine;

/// <summary>Pages of keys and values for sequences of one model: at most so many, allocated as they are needed and used again. One thread at a time.</summary>
/// <param name="layout">A page of one list.</param>
/// <param name="lists">Layers, times the parts of their heads that this process has.</param>
/// <param name="capacity">The most pages.</param>
internal sealed class PagePool(KvLayout layout, int lists, int capacity = int.MaxValue) : IDisposable
{
    private readonly Stack<KvPage> free = [];
    private bool disposed;

    /// <summary>The most pages.</summary>
    public int Capacity => capacity;

    /// <summary>Pages that somebody holds.</summary>
    public int Used { get; private set; }

    /// <summary>Bytes of a page.</summary>
    public long PageBytes => (long)ListBytes * lists;

    /// <summary>Bytes of a page's part of one list.</summary>
    public nuint ListBytes => layout.PageBytes;

    /// <summary>The lists of a page.</summary>
    public int Lists => lists;

    /// <summary>Bytes that the system would have to give for so many more pages.</summary>
    public long MissingBytes(int pages) => PageBytes * Math.Max(0, pages - free.Count);

    /// <summary>A page that nobody else holds, without a NaN in it.</summary>
    /// <exception cref="InsufficientMemoryException">All pages are held, or the system has no memory.</exception>
    public KvPage Rent()
    {
        if (Used >= capacity)
            throw new InsufficientMemoryException($"all {capacity} pages of keys and values are in use");
        if (!free.TryPop(out var page))
            page = Allocate();
        else
            page.Hold();
        page.Clear();
        Used++;
        return page;
    }

    /// <summary>Takes a page back that nobody holds any more.</summary>
    public void Return(KvPage page)
    {
        Used--;
        if (disposed)
            page.Free();
        else
            free.Push(page);
    }

    /// <summary>Frees the pages that nobody holds; the others when they are let go.</summary>
    public void Dispose()
    {
        disposed = true;
        while (free.TryPop(out var page))
            page.Free();
    }

    private KvPage Allocate()
    {
        try
        {
            return new KvPage(this, new AlignedBuffer((nuint)PageBytes));
        }
        catch (OutOfMemoryException e)
        {
            throw new InsufficientMemoryException($"the system has no memory for the keys and values of {KvLayout.PageKeys} more tokens of context ({MemoryBudget.Format(PageBytes)})", e);
        }
    }
}
