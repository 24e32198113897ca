using System.Runtime.InteropServices;
using DualSparse.Kernels;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Probe;
using DualSparse.Kernels.Threading;

namespace DualSparse.Benchmarking;

/// <summary>The measured ceilings of the machine.</summary>
/// <param name="BytesPerSecond">Read bandwidth.</param>
/// <param name="OperationsPerSecond">Rate of the strongest instruction for the weights, two operations a multiply-add.</param>
internal readonly record struct Ceiling(double BytesPerSecond, double OperationsPerSecond)
{
    /// <summary>The higher of both, for each ceiling.</summary>
    public Ceiling Or(Ceiling other) =>
        new(Math.Max(BytesPerSecond, other.BytesPerSecond), Math.Max(OperationsPerSecond, other.OperationsPerSecond));

    /// <summary>The roofline time: the least for what must be read and computed.</summary>
    public double Seconds(Roofline roofline) => roofline.Seconds(BytesPerSecond, OperationsPerSecond);
}

/// <summary>Probes the machine between the rounds of a benchmark.</summary>
internal sealed unsafe class Ceilings : IDisposable
{
    // Larger than any cache, so that memory is measured.
    private const long ReadBytes = 1L << 30;
    private readonly ThreadTeam team;
    private readonly WeightFormat weights;
    private readonly AlignedBuffer memory;

    /// <summary>Prepares the probes.</summary>
    public Ceilings(ThreadTeam team, WeightFormat weights)
    {
        (this.team, this.weights) = (team, weights);
        memory = new AlignedBuffer((nuint)ReadBytes);
        // Every page must be allocated before reading it is timed.
        NativeMemory.Fill(memory.Pointer, memory.Bytes, 1);
    }

    /// <summary>The best of all rounds.</summary>
    public Ceiling Best { get; private set; }

    /// <summary>Runs one round of each probe.</summary>
    public Ceiling Probe()
    {
        double rate = MachineProbe.OperationsPerSecond(team, weights);
        // A host may give twice its sustained bandwidth for the first gigabyte after a pause: the second is what the work that follows gets.
        MachineProbe.ReadBytesPerSecond(team, memory);
        var now = new Ceiling(MachineProbe.ReadBytesPerSecond(team, memory), rate);
        Best = Best.Or(now);
        return now;
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose() => memory.Dispose();
}
