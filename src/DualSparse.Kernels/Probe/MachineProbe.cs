using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Threading;

namespace DualSparse.Kernels.Probe;

/// <summary>
/// Measures the machine's ceilings, bandwidth and arithmetic, for the roofline of a benchmark. Each call is one short round, so that a
/// caller can interleave rounds with the work that it measures and keep the best of them.
/// </summary>
internal static unsafe class MachineProbe
{
    // Long enough for a good share of the prefetchers' streams, short enough for an even end on all threads.
    private const int ChunkBytes = 1 << 20;

    // Keeps what was read alive, so that the compiler reads it.
    private static byte sink;

    /// <summary>Bytes per second at which all threads of the team together read <paramref name="buffer"/> once.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="buffer">At least 1 GB for the rate of memory rather than of caches; written before, so that every page is there.</param>
    public static double ReadBytesPerSecond(ThreadTeam team, AlignedBuffer buffer)
    {
        byte* data = buffer.Pointer;
        int chunks = checked((int)(buffer.Bytes / ChunkBytes));
        long start = Stopwatch.GetTimestamp();
        team.For(chunks, (chunk, _) => Read(data + (nuint)chunk * ChunkBytes));
        return (double)chunks * ChunkBytes / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>
    /// Operations per second, 2 for each multiply-add, that all threads of the team together reach with the best kernel of a format:
    /// the higher of its instruction alone (<see cref="Gemm.PanelKernel.RunCeiling"/>) and of the kernel itself on data in the first-level cache.
    /// </summary>
    public static double OperationsPerSecond(ThreadTeam team, WeightFormat format)
    {
        var kernel = KernelTable.Choose(format, CpuFeatures.Current, forced: null);
        using var work = new CachedProduct(kernel, team.Size);
        return Math.Max(Rate(team, (_, rounds) => kernel.RunCeiling(rounds)), Rate(team, work.Run));
    }

    /// <summary>Operations per second of one kernel on data in the first-level cache, all threads of the team together.</summary>
    public static double OperationsPerSecond(ThreadTeam team, Gemm.PanelKernel kernel)
    {
        using var work = new CachedProduct(kernel, team.Size);
        return Rate(team, work.Run);
    }

    // body(worker, rounds) returns its operations.
    private static double Rate(ThreadTeam team, Func<int, int, long> body)
    {
        const double ItemSeconds = 0.5e-3;
        int rounds = 16;
        for (double seconds = 0; seconds < ItemSeconds; rounds *= 2)
        {
            long began = Stopwatch.GetTimestamp();
            if (body(0, rounds) == 0)
                return 0;
            seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
        }

        long operations = 0;
        long start = Stopwatch.GetTimestamp();
        team.For(team.Size * 10, (_, worker) => Interlocked.Add(ref operations, body(worker, rounds)));
        return operations / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Read(byte* data)
    {
        Vector256<byte> a = default, b = default, c = default, d = default;
        for (byte* end = data + ChunkBytes; data < end; data += 128)
        {
            a ^= Vector256.Load(data);
            b ^= Vector256.Load(data + 32);
            c ^= Vector256.Load(data + 64);
            d ^= Vector256.Load(data + 96);
        }

        Volatile.Write(ref sink, Vector256.Sum(a ^ b ^ c ^ d));
    }
}
