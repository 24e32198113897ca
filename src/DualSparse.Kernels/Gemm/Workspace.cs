using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;

namespace DualSparse.Kernels.Gemm;

/// <summary>
/// What products need besides their operands: threads, kernels and reusable scratch memory. One forward pass uses it at a time.
/// </summary>
internal sealed unsafe class Workspace : IDisposable
{
    /// <summary>The most rows in one call of a kernel: their results, 16 KiB, stay in the first-level cache.</summary>
    public const int MaxRows = 128;

    private readonly AlignedBuffer tiles;

    /// <summary>Makes a workspace; the team stays its owner's.</summary>
    public Workspace(ThreadTeam team, KernelSet kernels)
    {
        Team = team;
        Kernels = kernels;
        // Padding after the last tile: a transpose reads rows in blocks of 32.
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

    /// <summary>The experts' intermediate rows in f32, until they are complete and can be quantised.</summary>
    internal ScratchBuffer WideHidden { get; } = new();

    /// <summary>Each worker's sums of the experts' outputs, some panels of every token.</summary>
    internal ScratchBuffer Sums { get; } = new();

    /// <summary>Each worker's scores, weights and sums of attention, and the parts of queries that are merged.</summary>
    internal ScratchBuffer Attention { get; } = new();

    /// <summary>A worker's tile of results: [<see cref="MaxRows"/>, 32].</summary>
    internal float* Tile(int worker) => (float*)tiles.Pointer + worker * MaxRows * PanelLayout.Columns;

    /// <summary>Frees the scratch memory.</summary>
    public void Dispose()
    {
        tiles.Dispose();
        Rows.Dispose();
        Gathered.Dispose();
        Hidden.Dispose();
        WideHidden.Dispose();
        Sums.Dispose();
        Attention.Dispose();
    }
}
