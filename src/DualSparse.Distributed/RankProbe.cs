using System.Diagnostics;
using System.Runtime.InteropServices;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Kernels;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Probe;
using DualSparse.Kernels.Threading;

namespace DualSparse.Distributed;

/// <summary>
/// Before placement is chosen, rank 0 measures each other rank's memory, kernel and link. It sends orders of 8 bytes, which the other answers until
/// it is told to end: so rank 0 alone decides what is measured, if anything.
/// </summary>
internal static unsafe class RankProbe
{

    private const string What = "the probe of the ranks";

    // Orders: a number of bytes that follow, or one of these.
    private const long End = -1, Rates = -2, Cross = -3, Experts = -4;

    // As large as the messages whose bandwidth matters, yet 21 ms at 100 Mbit/s.
    private const int LargeBytes = 256 << 10;

    private const int SmallRounds = 100, LargeRounds = 8;

    // For either kind of round, of which there are two at least: with a slow link some 50 ms together.
    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(10);

    // Beyond a core's own cache. Touching a larger one would take most of the time, and what is left in a large shared cache is so of weights, too.
    private const int ReadBytes = 32 << 20;

    /// <summary>Rank 0's side.</summary>
    /// <param name="group">The ranks.</param>
    /// <param name="weights">The format of the weights.</param>
    /// <param name="threads">Threads of a rank.</param>
    /// <returns>The slowest rank's rates, the slowest link's.</returns>
    public static (MachineRates Machine, LinkRates Link) Measure(RankGroup group, WeightFormat weights, int threads)
    {
        // All ranks at once, as they will work.
        for (int rank = 1; rank < group.Size; rank++)
            Send(group, rank, Rates);
        var machine = Machine(weights, threads);
        for (int rank = 1; rank < group.Size; rank++)
        {
            MachineRates other;
            using var answer = group.Receive(rank, RankTag.Probe, &other, sizeof(MachineRates));
            group.Wait(answer, What);
            machine = new(Math.Min(machine.BytesPerSecond, other.BytesPerSecond), Math.Min(machine.OperationsPerSecond, other.OperationsPerSecond));
        }

        // Where ranks share a machine, one that works alone has more of it.
        using var team = new ThreadTeam(threads);
        machine = machine with { AloneBytesPerSecond = Math.Max(machine.BytesPerSecond, Read(team)) };
        var link = new LinkRates(0, double.PositiveInfinity);
        using var buffer = new AlignedBuffer(2 * LargeBytes);
        NativeMemory.Fill(buffer.Pointer, buffer.Bytes, 1);
        for (int rank = 1; rank < group.Size; rank++)
        {
            // The first message makes the connection.
            RoundTrip(group, rank, buffer, 0);
            double latency = Best(group, rank, buffer, 0, SmallRounds) / 2, large = Best(group, rank, buffer, LargeBytes, LargeRounds);
            double crossed = Best(group, rank, buffer, Cross, LargeRounds);
            link = new(Math.Max(link.LatencySeconds, latency), Math.Min(link.BytesPerSecond, Rate(large)), Math.Min(link.CrossedBytesPerSecond, Rate(crossed)));

            // The library asks for a large message before it sends it, and the answer is small: four latencies.
            double Rate(double seconds) => LargeBytes / Math.Max(seconds - 4 * latency, seconds / 4);
        }

        Finish(group);
        return (machine, link);
    }

    /// <summary>Rank 0's side where loads are to be balanced: all ranks measure at once, the slowest counts.</summary>
    /// <param name="group">The ranks.</param>
    /// <param name="weights">The format of the weights.</param>
    /// <param name="hidden">D.</param>
    /// <param name="neurons">F of a part of an expert.</param>
    /// <param name="threads">Threads of a rank.</param>
    public static ExpertRates MeasureExperts(RankGroup group, WeightFormat weights, int hidden, int neurons, int threads)
    {
        long* sizes = stackalloc long[] { hidden, neurons };
        for (int rank = 1; rank < group.Size; rank++)
        {
            Send(group, rank, Experts);
            using var message = group.Send(rank, RankTag.Probe, sizes, 2 * sizeof(long));
            group.Wait(message, What);
        }

        var rates = ExpertProbe.Measure(weights, hidden, neurons, threads);
        for (int rank = 1; rank < group.Size; rank++)
        {
            ExpertRates other;
            using var answer = group.Receive(rank, RankTag.Probe, &other, sizeof(ExpertRates));
            group.Wait(answer, What);
            rates = ExpertRates.Lower(rates, other);
        }

        return rates;
    }

    /// <summary>Rank 0's side where nothing is to be measured, or no more.</summary>
    public static void Finish(RankGroup group)
    {
        for (int rank = 1; rank < group.Size; rank++)
            Send(group, rank, End);
    }

    /// <summary>Another rank's side.</summary>
    public static void Answer(RankGroup group, WeightFormat weights, int threads)
    {
        using var buffer = new AlignedBuffer(2 * LargeBytes);
        NativeMemory.Fill(buffer.Pointer, buffer.Bytes, 1);
        long* sizes = stackalloc long[2];
        for (; ; )
        {
            long order;
            using (var message = group.Receive(0, RankTag.Probe, &order, sizeof(long)))
                group.Wait(message, What);
            if (order == End)
                return;
            if (order == Experts)
            {
                using (var message = group.Receive(0, RankTag.Probe, sizes, 2 * sizeof(long)))
                    group.Wait(message, What);
                var rates = ExpertProbe.Measure(weights, (int)sizes[0], (int)sizes[1], threads);
                using var answer = group.Send(0, RankTag.Probe, &rates, sizeof(ExpertRates));
                group.Wait(answer, What);
                continue;
            }

            if (order == Rates)
            {
                var rates = Machine(weights, threads);
                using var answer = group.Send(0, RankTag.Probe, &rates, sizeof(MachineRates));
                group.Wait(answer, What);
                continue;
            }

            if (order == Cross)
            {
                CrossOver(group, 0, buffer);
            }
            else if (order > 0)
            {
                using var message = group.Receive(0, RankTag.Probe, buffer.Pointer, (int)order);
                group.Wait(message, What);
            }

            Send(group, 0, order);
        }
    }

    private static MachineRates Machine(WeightFormat weights, int threads)
    {
        using var team = new ThreadTeam(threads);
        // Whichever kernel rank 0 chooses, this rank's best is near it; a forced one that it hasn't is the handshake's to say.
        return new(Read(team), MachineProbe.OperationsPerSecond(team, weights));
    }

    private static double Read(ThreadTeam team)
    {
        using var buffer = new AlignedBuffer(ReadBytes);
        NativeMemory.Fill(buffer.Pointer, buffer.Bytes, 1);
        return Math.Max(MachineProbe.ReadBytesPerSecond(team, buffer), MachineProbe.ReadBytesPerSecond(team, buffer));
    }

    // The link's own time: often a rank is off its core, and TCP begins slowly.
    private static double Best(RankGroup group, int rank, AlignedBuffer buffer, long order, int rounds)
    {
        double best = double.PositiveInfinity;
        long start = Stopwatch.GetTimestamp();
        for (int round = 0; round < rounds && (round < 2 || Stopwatch.GetElapsedTime(start) < s_patience); round++)
            best = Math.Min(best, RoundTrip(group, rank, buffer, order));
        return best;
    }

    // Seconds for an order and what follows it to arrive, and 8 bytes to come back.
    private static double RoundTrip(RankGroup group, int rank, AlignedBuffer buffer, long order)
    {
        long start = Stopwatch.GetTimestamp(), back;
        using var answer = group.Receive(rank, RankTag.Probe, &back, sizeof(long));
        using var head = group.Send(rank, RankTag.Probe, &order, sizeof(long));
        if (order == Cross)
        {
            CrossOver(group, rank, buffer);
        }
        else if (order > 0)
        {
            using var message = group.Send(rank, RankTag.Probe, buffer.Pointer, (int)order);
            group.Wait(message, What);
        }

        group.Wait(head, What);
        group.Wait(answer, What);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    // Large messages both ways at once.
    private static void CrossOver(RankGroup group, int rank, AlignedBuffer buffer)
    {
        using var received = group.Receive(rank, RankTag.ProbeCross, (byte*)buffer.Pointer + LargeBytes, LargeBytes);
        using var sent = group.Send(rank, RankTag.ProbeCross, buffer.Pointer, LargeBytes);
        group.Wait(received, What);
        group.Wait(sent, What);
    }

    private static void Send(RankGroup group, int rank, long order)
    {
        using var message = group.Send(rank, RankTag.Probe, &order, sizeof(long));
        group.Wait(message, What);
    }
}
