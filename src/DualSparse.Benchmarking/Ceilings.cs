using System.Runtime.InteropServices;
using DualSparse.Kernels;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Probe;
using DualSparse.Kernels.Threading;

namespace DualSparse.Benchmarking;

/// <summary>What the machine gives, probed between the rounds of a benchmark: the best round of each counts.</summary>
internal sealed unsafe class Ceilings : IDisposable
{
    // Larger than any cache: the rate of memory.
    private const long ReadBytes = 1L << 30;
    private readonly ThreadTeam team;
    private readonly WeightFormat weights;
    private readonly AlignedBuffer memory;

    /// <summary>Prepares the probes.</summary>
    public Ceilings(ThreadTeam team, WeightFormat weights)
    {
        (this.team, this.weights) = (team, weights);
        memory = new AlignedBuffer((nuint)ReadBytes);
        // Every page must be there before it is read for its speed.
        NativeMemory.Fill(memory.Pointer, memory.Bytes, 1);
    }

    /// <summary>Read bandwidth.</summary>
    public double BytesPerSecond { get; private set; }

    /// <summary>Rate of the strongest instruction for the weights, two operations a multiply-add.</summary>
    public double OperationsPerSecond { get; private set; }

    /// <summary>One round of each.</summary>
    public void Probe()
    {
        BytesPerSecond = Math.Max(BytesPerSecond, MachineProbe.ReadBytesPerSecond(team, memory));
        OperationsPerSecond = Math.Max(OperationsPerSecond, MachineProbe.OperationsPerSecond(team, weights));
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose() => memory.Dispose();
}
