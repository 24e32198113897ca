using DualSparse.Kernels.Memory;

namespace DualSparse.Engine.Vision;

/// <summary>A vision tower's scratch memory, one buffer for each use.</summary>
internal sealed class VisionMemory : IDisposable
{
    /// <summary>[patches, hidden]: the rows.</summary>
    public ScratchBuffer Residual { get; } = new();

    /// <summary>[patches, hidden]: the same after a norm.</summary>
    public ScratchBuffer Normalised { get; } = new();

    /// <summary>[patches, hidden]: what a half block adds.</summary>
    public ScratchBuffer Added { get; } = new();

    /// <summary>[patches, 3 · hidden]: queries of all heads, keys, values.</summary>
    public ScratchBuffer QueryKeyValue { get; } = new();

    /// <summary>[patches, hidden]: the output of attention.</summary>
    public ScratchBuffer Attended { get; } = new();

    /// <summary>[pages] of keys and values.</summary>
    public ScratchBuffer Pages { get; } = new();

    /// <summary>[rows, neurons] between two maps.</summary>
    public ScratchBuffer Neurons { get; } = new();

    /// <summary>Frees all of it.</summary>
    public void Dispose()
    {
        foreach (var buffer in (ScratchBuffer[])[Residual, Normalised, Added, QueryKeyValue, Attended, Pages, Neurons])
            buffer.Dispose();
    }
}
