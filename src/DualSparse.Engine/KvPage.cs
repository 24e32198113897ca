using DualSparse.Kernels.Memory;

namespace DualSparse.Engine;

/// <summary>
/// The keys and values of 128 consecutive positions, of every layer: what sequences with a common beginning share. A page that is shared
/// is full and isn't written any more. Returns to its pool when the last that holds it lets go.
/// </summary>
/// <param name="pool">Whose page it is.</param>
/// <param name="memory">Its block.</param>
internal sealed unsafe class KvPage(PagePool pool, AlignedBuffer memory)
{
    private int holders = 1;

    /// <summary>Those who hold it.</summary>
    public int Holders => holders;

    /// <summary>The part of one list, which is a layer and a part of its heads.</summary>
    public byte* List(int list) => memory.Pointer + (nint)list * (nint)pool.ListBytes;

    /// <summary>One more holds it.</summary>
    public KvPage Hold()
    {
        holders++;
        return this;
    }

    /// <summary>One lets go.</summary>
    public void Release()
    {
        if (--holders == 0)
            pool.Return(this);
    }

    /// <summary>Takes another page's contents.</summary>
    public void CopyFrom(KvPage other) => Buffer.MemoryCopy(other.List(0), List(0), memory.Bytes, memory.Bytes);

    /// <summary>Clears what must not hold a NaN, before it is used again.</summary>
    public void Clear() => new Span<byte>(memory.Pointer, checked((int)memory.Bytes)).Clear();

    /// <summary>Frees the memory.</summary>
    public void Free() => memory.Dispose();
}
