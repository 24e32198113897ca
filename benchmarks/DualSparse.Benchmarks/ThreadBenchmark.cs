using System.Diagnostics;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Threading;

namespace DualSparse.Benchmarks;

/// <summary>
/// Loops of pure arithmetic on a team, against one thread without a team: the cost of dispatch, waiting and, if another process keeps a
/// core busy, the scheduler. Medians over rounds.
/// </summary>
internal static class ThreadBenchmark
{
    private const int Rounds = 9;
    private const int ItemsPerLoop = 16;
    private const double RoundSeconds = 0.2;

    public static int Run()
    {
        var kernel = KernelTable.Choose(WeightFormat.F32);
        using var team = new ThreadTeam(ThreadTeam.Available);
        double itemRate = SingleThreadRate(kernel, 1 << 16);
        Console.WriteLine($"{team.Size} threads; loops of {ItemsPerLoop} items; rate against one thread without a team");
        foreach (double loopSeconds in (double[])[5e-6, 20e-6, 100e-6, 1e-3, 5e-3])
        {
            // Rounds of a loop of that length on all threads if nothing is lost.
            int rounds = Math.Max(1, (int)(loopSeconds * itemRate * team.Size / ItemsPerLoop));
            int loops = Math.Max(1, (int)(RoundSeconds / loopSeconds));
            var shares = new double[Rounds];
            foreach (ref double share in shares.AsSpan())
            {
                double free = SingleThreadRate(kernel, rounds * ItemsPerLoop);
                long start = Stopwatch.GetTimestamp();
                for (int loop = 0; loop < loops; loop++)
                    team.For(ItemsPerLoop, (_, _) => kernel.RunCeiling(rounds));
                share = rounds * (double)ItemsPerLoop * loops / Stopwatch.GetElapsedTime(start).TotalSeconds / free;
            }

            Array.Sort(shares);
            Console.WriteLine($"  {loopSeconds * 1e6,6:f0} µs: {shares[Rounds / 2]:f2} (from {shares[0]:f2} to {shares[^1]:f2})");
        }

        return 0;
    }

    // Rounds a second on one thread.
    private static double SingleThreadRate(PanelKernel kernel, int rounds)
    {
        double best = 0;
        for (int i = 0; i < 20; i++)
        {
            long start = Stopwatch.GetTimestamp();
            kernel.RunCeiling(rounds);
            best = Math.Max(best, rounds / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return best;
    }
}
