using DualSparse.Kernels;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Probe;
using DualSparse.Kernels.Threading;

namespace DualSparse.Benchmarks;

/// <summary>
/// Each kernel that runs here, streaming panels of 2048 inputs through 1 GiB of weights, for several numbers of rows, compared with
/// ceilings that are probed in the same rounds. Medians for the kernels, best rounds for the ceilings.
/// </summary>
internal static class KernelBenchmark
{
    private const int Rounds = 9;
    private const double RoundSeconds = 0.02;
    private static readonly int[] RowCounts = [1, 4, 16, 64, 128];

    public static int Run(string[] options)
    {
        int[] threads = [.. options.Where(o => int.TryParse(o, out _)).Select(int.Parse)];
        string[] words = [.. options.Where(o => !int.TryParse(o, out _))];
        using var weights = new AlignedBuffer(1 << 30);
        new Random(1).NextBytes(weights.AsSpan<byte>());
        Console.WriteLine($"{CpuFeatures.Current.Name}, .NET {Environment.Version}");
        foreach (int count in threads.Length > 0 ? threads : [1, ThreadTeam.Available])
        {
            using var team = new ThreadTeam(count);
            foreach (var entry in KernelTable.Entries)
            {
                bool selected = words.Length == 0 ? entry.Name != "scalar" : words.All(w => w == entry.Name || Is(w, entry.Weights));
                if (selected && entry.Refusal(CpuFeatures.Current) is null)
                    Measure(team, entry, weights);
            }
        }

        return 0;
    }

    private static bool Is(string word, WeightFormat format) => word.Equals(format.ToString(), StringComparison.OrdinalIgnoreCase);

    private static void Measure(ThreadTeam team, KernelEntry entry, AlignedBuffer weights)
    {
        using var stream = new PanelStream(entry.Create(), team, weights, RowCounts[^1]);
        int[] panels = [.. RowCounts.Select(rows => Calibrate(stream, rows))];
        var seconds = RowCounts.Select(_ => new List<double>()).ToArray();
        double bandwidth = 0, rate = 0;
        for (int round = 0; round < Rounds; round++)
        {
            bandwidth = Math.Max(bandwidth, MachineProbe.ReadBytesPerSecond(team, weights));
            rate = Math.Max(rate, MachineProbe.OperationsPerSecond(team, entry.Weights));
            for (int i = 0; i < RowCounts.Length; i++)
                seconds[i].Add(stream.Multiply(RowCounts[i], panels[i]) / panels[i]);
        }

        Console.WriteLine($"\n{entry.Name} {entry.Weights}, {team.Size} thread(s): ceilings {bandwidth / 1e9:f1} GB/s, {rate / 1e9:f0} GFLOP/s");
        Console.WriteLine("  rows  GFLOP/s  of rate   GB/s  of bandwidth  × floor");
        for (int i = 0; i < RowCounts.Length; i++)
        {
            double median = seconds[i].Order().ElementAt(Rounds / 2), flops = stream.Operations(RowCounts[i]);
            double roofline = Math.Max(stream.PanelBytes / bandwidth, flops / rate);
            Console.WriteLine($"  {RowCounts[i],4}  {flops / median / 1e9,7:f1}  {flops / median / rate,7:p0}  {stream.PanelBytes / median / 1e9,5:f1}"
                + $"  {stream.PanelBytes / median / bandwidth,12:p0}  {median / roofline,7:f2}");
        }
    }

    private static int Calibrate(PanelStream stream, int rows)
    {
        stream.Multiply(rows, 64);
        return Math.Max(64, (int)(RoundSeconds / (stream.Multiply(rows, 256) / 256)));
    }
}
