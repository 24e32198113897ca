namespace DualSparse.Kernels.Memory;

/// <summary>
/// Scratch memory for f32 values: one use, one buffer. It grows as needed and is used again and again. What it holds is undefined each time it
/// is taken; debug builds fill it with NaN, so that nobody can rely on it.
/// </summary>
internal sealed unsafe class ScratchBuffer : IDisposable
{
    private AlignedBuffer? memory;

    /// <summary>Room for <paramref name="count"/> floats, aligned to 64 bytes; valid until the next call. What was there is lost.</summary>
    /// <exception cref="OutOfMemoryException">The system gives no more memory; a later call may ask for less.</exception>
    public float* Floats(nint count)
    {
        nuint bytes = (nuint)count * sizeof(float);
        if (memory is null || memory.Bytes < bytes)
        {
            // Should there be no memory, nothing is left that could be taken for it.
            memory?.Dispose();
            memory = null;
            memory = new AlignedBuffer(bytes + bytes / 4);
        }

        Poison(count);
        return (float*)memory.Pointer;
    }

    /// <summary>What was taken last.</summary>
    /// <exception cref="InvalidOperationException">Nothing was.</exception>
    public float* Taken => memory is null ? throw new InvalidOperationException("nothing was taken of this buffer") : (float*)memory.Pointer;

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        memory?.Dispose();
        memory = null;
    }

    [System.Diagnostics.Conditional("DEBUG")]
    private void Poison(nint count)
    {
        float* values = (float*)memory!.Pointer;
        for (nint i = 0; i < count; i++)
            values[i] = float.NaN;
    }
}
