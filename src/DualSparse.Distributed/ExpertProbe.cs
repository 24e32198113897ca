using System.Diagnostics;
using System.Runtime.InteropServices;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;

namespace DualSparse.Distributed;

/// <summary>Measures what a rank computes experts with, on some of the model's size: what a kernel reaches in a cache is far from it where arithmetic is fast.</summary>
internal static unsafe class ExpertProbe
{
    // Beyond a core's own cache; a model's experts are mostly there or in memory.
    private const int WeightBytes = 16 << 20;

    private const int MostExperts = 64;

    // So many rows an expert that arithmetic counts, and no more than a pass has.
    private const int ManyRows = 256;

    private const int Rounds = 3;

    /// <summary>Measures.</summary>
    /// <param name="weights">The format of the weights.</param>
    /// <param name="hidden">D.</param>
    /// <param name="neurons">F of a part.</param>
    /// <param name="threads">Threads.</param>
    public static ExpertRates Measure(WeightFormat weights, int hidden, int neurons, int threads)
    {
        int count = (int)Math.Clamp(WeightBytes / (long)PackedExperts.SizeBytes(weights, hidden, neurons), 2, MostExperts);
        using var team = new ThreadTeam(threads);
        using var work = new Workspace(team, KernelSet.Best());
        using var experts = Zeros(weights, count, hidden, neurons);
        experts.MeasureOutputs(team);
        using var low = new LowExperts();
        int[] all = [.. Enumerable.Range(0, count)];
        bool[] used = [.. all.Select(_ => true)];
        double convert = Best(() => low.Convert(work, experts, all, used, LowFormat.Int8));
        double operations = 6.0 * hidden * neurons * count * ManyRows;
        return new ExpertRates(
            experts.Bytes / Run(work, experts, 1), operations / Run(work, experts, ManyRows), operations / Run(work, low.Experts, ManyRows), experts.Bytes / convert);
    }

    // Weights of 0 take as long as others.
    private static PackedExperts Zeros(WeightFormat format, int count, int hidden, int neurons)
    {
        var experts = new PackedExperts(format, count, hidden, neurons);
        for (int e = 0; e < count; e++)
        {
            NativeMemory.Clear(experts.GateUp(e).Panel(0), experts.GateUp(e).Bytes);
            NativeMemory.Clear(experts.Down(e).Panel(0), experts.Down(e).Bytes);
        }

        return experts;
    }

    private static double Run(Workspace work, PackedExperts experts, int rows)
    {
        var batch = new ExpertBatch();
        for (int e = 0; e < experts.Count; e++)
        {
            batch.Experts.Add(new ExpertRows(e, e * rows, rows, rows));
            batch.Tokens.AddRange(Enumerable.Range(e * rows, rows));
            batch.Weights.AddRange(Enumerable.Repeat(1f, rows));
        }

        int all = rows * experts.Count;
        using var input = new AlignedBuffer((nuint)all * (nuint)experts.Hidden * sizeof(float));
        using var output = new AlignedBuffer(input.Bytes);
        using var encoded = new ActivationRows();
        input.AsSpan<float>().Fill(1);
        GroupedGemm.Encode(work, experts, (float*)input.Pointer, all, encoded);
        return Best(() => GroupedGemm.Forward(work, experts, batch, encoded, all, (float*)output.Pointer, add: false));
    }

    // The first one's pages and code are new.
    private static double Best(Action action)
    {
        double best = double.PositiveInfinity;
        for (int round = 0; round <= Rounds; round++)
        {
            long start = Stopwatch.GetTimestamp();
            action();
            best = round == 0 ? best : Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return best;
    }
}
