using DualSparse.Distributed;

namespace DualSparse.Benchmarking.ExpertParallel;

/// <summary>The way between virtual ranks.</summary>
/// <param name="Rates">Latency and bandwidth.</param>
/// <param name="Carries">Whether messages travel while ranks compute, as over a network; else the receiver copies each while it waits, as in shared memory.</param>
internal sealed record VirtualLink(LinkRates Rates, bool Carries);

/// <summary>What was measured of each virtual rank's layer, in seconds, and what it would send, in bytes.</summary>
/// <param name="Dispatch">[ranks] rows encoded, listed, packed.</param>
/// <param name="Experts">[ranks][ranks] the rows of each source unpacked and computed; where all are computed together, in place of the own ones.</param>
/// <param name="Shared">[ranks] the shared experts.</param>
/// <param name="Combine">[ranks] sums added.</param>
/// <param name="RowBytes">[ranks][ranks] from a rank to another.</param>
/// <param name="SumBytes">[ranks][ranks] from a rank back to another.</param>
/// <param name="Together">Whether experts wait for the rows of all ranks.</param>
internal sealed record VirtualWork(double[] Dispatch, double[][] Experts, double[] Shared, double[] Combine, long[][] RowBytes, long[][] SumBytes, bool Together)
{
    /// <summary>[ranks] experts converted to a lower precision, while rows travel.</summary>
    public double[] Convert { get; init; } = new double[Dispatch.Length];

    /// <summary>What a rank's experts take: converted, and computed.</summary>
    public double ExpertSeconds(int rank) => Convert[rank] + Experts[rank].Sum();
}

/// <summary>When a layer of virtual ranks ends.</summary>
/// <param name="Seconds">Makespan: the slowest rank's time.</param>
/// <param name="ComputeSeconds">The work of the rank that has the most.</param>
internal readonly record struct VirtualTime(double Seconds, double ComputeSeconds);

/// <summary>
/// Ranks that aren't there: each one's work was measured alone on this machine, one after another; messages take latency + bytes / bandwidth. The order
/// of steps is the exchange's: rows leave in turn, the own ones are computed, then each other rank's once they are there, and its sums leave.
/// </summary>
internal static class VirtualRanks
{
    /// <summary>Where rows go to their experts (own, hybrid).</summary>
    public static VirtualTime Rows(VirtualWork work, VirtualLink link)
    {
        int ranks = work.Dispatch.Length;
        double[] now = [.. work.Dispatch.Zip(work.Convert, (dispatch, convert) => dispatch + convert)];
        double[][] rowsThere = Sent(work.RowBytes, rank => Enumerable.Range(1, ranks - 1).Select(step => ((rank + step) % ranks, work.Dispatch[rank])), link);
        var answers = new List<(int To, double Ready)>[ranks];
        for (int rank = 0; rank < ranks; rank++)
        {
            int at = rank;
            answers[rank] = [];
            if (!work.Together)
                now[rank] += work.Experts[rank][rank];
            int[] sources = [.. Enumerable.Range(1, ranks - 1).Select(step => (at + step) % ranks)];
            foreach (int from in sources)
            {
                now[rank] = Received(now[rank], rowsThere[from][rank], work.RowBytes[from][rank], link);
                if (work.Together)
                    continue;
                now[rank] += work.Experts[rank][from];
                answers[rank].Add((from, now[rank]));
            }

            if (work.Together)
            {
                now[rank] += work.Experts[rank][rank];
                answers[rank].AddRange(sources.Select(source => (source, now[at])));
            }

            now[rank] += work.Shared[rank];
        }

        double[][] sumsThere = Sent(work.SumBytes, rank => answers[rank], link);
        for (int rank = 0; rank < ranks; rank++)
        {
            for (int from = 0; from < ranks; from++)
            {
                if (from != rank && work.SumBytes[from][rank] > 0)
                    now[rank] = Received(now[rank], sumsThere[from][rank], work.SumBytes[from][rank], link);
            }

            now[rank] += work.Combine[rank];
        }

        return new(now.Max(), Enumerable.Range(0, ranks).Max(r => work.Dispatch[r] + work.ExpertSeconds(r) + work.Shared[r] + work.Combine[r]));
    }

    /// <summary>Where every rank has all rows and parts add up (slice): nothing travels before all is computed.</summary>
    /// <param name="work">Of it the work alone.</param>
    /// <param name="reduces">[sums] the most bytes that a rank sends for each of the layer's all-reduces.</param>
    /// <param name="link">The way.</param>
    public static VirtualTime Slices(VirtualWork work, IEnumerable<double> reduces, VirtualLink link)
    {
        double compute = Enumerable.Range(0, work.Dispatch.Length).Max(r => work.Dispatch[r] + work.Experts[r].Sum() + work.Shared[r] + work.Combine[r]);
        return new(compute + reduces.Sum(link.Rates.CrossedSeconds), compute);
    }

    // [from][to] when each message is there; a rank's link carries one after another.
    private static double[][] Sent(long[][] bytes, Func<int, IEnumerable<(int To, double Ready)>> order, VirtualLink link) =>
    [
        .. Enumerable.Range(0, bytes.Length).Select(rank =>
        {
            double[] there = new double[bytes.Length];
            double free = 0;
            foreach (var (to, ready) in order(rank))
            {
                free = Math.Max(free, ready) + (link.Carries ? bytes[rank][to] / link.Rates.CrossedRate(bytes[rank][to]) : 0);
                there[to] = free + link.Rates.LatencySeconds;
            }

            return there;
        }),
    ];

    private static double Received(double now, double there, long bytes, VirtualLink link) =>
        Math.Max(now, there) + (link.Carries ? 0 : bytes / link.Rates.BytesPerSecond);
}
