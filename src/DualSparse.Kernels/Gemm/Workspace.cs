using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;

namespace DualSparse.Kernels.Gemm;

/// <summary>
/// What products need besides their operands: the threads, the kernels, and scratch memory that is used again and again. One
/// forward pass at a time uses it.
/// </summary>
public sealed unsafe class Workspace : IDisposable
{
    /// <summary>Rows that a kernel is given at most: their results, 16 KiB, stay in the first-level cache.</summary>
    public const int MaxRows = 128;

    private readonly AlignedBuffer tiles;
    private readonly Dictionary<string, AlignedBuffer> buffers = [];

    /// <summary>Makes a workspace; the team stays its owner's.</summary>
    public Workspace(ThreadTeam team, KernelSet kernels)
    {
        Team = team;
        Kernels = kernels;
        // Behind the last tile: who transposes a tile reads rows by 32.
        tiles = new AlignedBuffer((nuint)((team.Size * MaxRows + PanelLayout.Columns) * PanelLayout.Columns * sizeof(float)));
    }

    /// <summary>The threads.</summary>
    public ThreadTeam Team { get; }

    /// <summary>The kernels.</summary>
    public KernelSet Kernels { get; }

    /// <summary>The rows of the product under way, in its kernel's form.</summary>
    internal ActivationRows Rows { get; } = new();

    /// <summary>Rows gathered by expert.</summary>
    internal ActivationRows Gathered { get; } = new();

    /// <summary>The experts' intermediate rows.</summary>
    internal ActivationRows Hidden { get; } = new();

    /// <summary>A worker's tile of results: [<see cref="MaxRows"/>, 32].</summary>
    internal float* Tile(int worker) => (float*)tiles.Pointer + worker * MaxRows * PanelLayout.Columns;

    /// <summary>A buffer of at least <paramref name="count"/> floats, kept under a name; contents undefined.</summary>
    public float* Floats(string name, nint count)
    {
        nuint bytes = (nuint)count * sizeof(float);
        if (!buffers.TryGetValue(name, out var buffer) || buffer.Bytes < bytes)
        {
            // Should there be no memory, the name is free again.
            buffers.Remove(name);
            buffer?.Dispose();
            buffers[name] = buffer = new AlignedBuffer(bytes + bytes / 4);
        }

        return (float*)buffer.Pointer;
    }

    /// <summary>Frees the scratch memory.</summary>
    public void Dispose()
    {
        tiles.Dispose();
        Rows.Dispose();
        Gathered.Dispose();
        Hidden.Dispose();
        foreach (var buffer in buffers.Values)
            buffer.Dispose();
        buffers.Clear();
    }
}
