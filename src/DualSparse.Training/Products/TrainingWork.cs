using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Threading;

namespace DualSparse.Training.Products;

/// <summary>What the operators need besides their operands: threads, kernels, scratch.</summary>
/// <param name="team">The threads; they stay their owner's.</param>
/// <param name="arithmetic">In what products are computed.</param>
internal sealed class TrainingWork(ThreadTeam team, Arithmetic arithmetic) : IDisposable
{
    private readonly Scratch[] scratch = [.. Enumerable.Range(0, team.Size).Select(_ => new Scratch())];

    /// <summary>The threads.</summary>
    public ThreadTeam Team => team;

    /// <summary>In what products are computed.</summary>
    public Arithmetic Arithmetic => arithmetic;

    /// <summary>In what the router's products are computed, whatever the others are.</summary>
    public Arithmetic Exact { get; } = arithmetic.IsBf16 ? new Arithmetic(ProductFormat.F32) : arithmetic;

    /// <summary>Columns of a product's left operand, encoded for all threads.</summary>
    public ScratchBuffer Turned { get; } = new();

    /// <summary>Rows that every pair of a token and an expert has.</summary>
    public ScratchBuffer PairRows { get; } = new();

    /// <summary>The experts' hidden rows, times their weights.</summary>
    public ScratchBuffer PairHidden { get; } = new();

    /// <summary>A worker's scratch, empty.</summary>
    public Scratch Of(int worker)
    {
        scratch[worker].Reset();
        return scratch[worker];
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        foreach (var one in scratch)
            one.Dispose();
        Turned.Dispose();
        PairRows.Dispose();
        PairHidden.Dispose();
    }
}
