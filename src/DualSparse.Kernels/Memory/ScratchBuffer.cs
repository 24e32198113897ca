namespace DualSparse.Kernels.Memory;

/// <summary>
/// Scratch memory for f32 values: one use, one buffer. It grows as needed and is reused. Its contents are undefined after each
/// <see cref="Floats"/>; debug builds fill it with NaN.
/// </summary>
internal sealed unsafe class ScratchBuffer : IDisposable
{
    private AlignedBuffer? memory;

    /// <summary>Room for <paramref name="count"/> floats, aligned to 64 bytes; valid until the next call. Previous contents are lost.</summary>
    /// <exception cref="OutOfMemoryException">The system has no more memory; a later call may ask for less.</exception>
    public float* Floats(nint count)
    {
        nuint bytes = (nuint)count * sizeof(float);
        if (memory is null || memory.Bytes < bytes)
        {
            // If the allocation fails, the buffer is left empty.
            memory?.Dispose();
            memory = null;
            memory = new AlignedBuffer(bytes + bytes / 4);
        }

        Poison(count);
        return (float*)memory.Pointer;
    }

    /// <summary>The memory that <see cref="Floats"/> returned last.</summary>
    /// <exception cref="InvalidOperationException">There was no such call.</exception>
    public float* Current => memory is null ? throw new InvalidOperationException("this scratch buffer has no memory yet") : (float*)memory.Pointer;

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
