using DualSparse.Kernels.Memory;

namespace DualSparse.Training.Products;

/// <summary>One thread's scratch: taken piece by piece, all given back at once.</summary>
internal sealed unsafe class Scratch : IDisposable
{
    // A cache line: every piece begins on one.
    private const nint Alignment = 64;

    private readonly List<AlignedBuffer> blocks = [];
    private nint used;

    /// <summary>Gives back all pieces.</summary>
    public void Reset()
    {
        used = 0;
        if (blocks.Count < 2)
            return;
        // What took several blocks takes one from now on.
        nuint all = 0;
        foreach (var block in blocks)
            all += block.Bytes;
        Dispose();
        blocks.Add(new AlignedBuffer(all));
    }

    /// <summary>Takes a piece; its contents are undefined.</summary>
    public byte* Take(nint bytes)
    {
        bytes = (bytes + Alignment - 1) / Alignment * Alignment;
        if (blocks.Count == 0 || used + bytes > (nint)blocks[^1].Bytes)
        {
            blocks.Add(new AlignedBuffer((nuint)Math.Max(bytes, 1 << 20)));
            used = 0;
        }

        byte* piece = blocks[^1].Pointer + used;
        used += bytes;
        return piece;
    }

    /// <summary>Takes a piece of floats.</summary>
    public float* Floats(nint count) => (float*)Take(count * sizeof(float));

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        blocks.ForEach(block => block.Dispose());
        blocks.Clear();
        used = 0;
    }
}
