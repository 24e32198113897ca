using System.Diagnostics;
using DualSparse.Benchmarking;
using DualSparse.Engine;
using DualSparse.Kernels;

namespace DualSparse.Benchmarks;

/// <summary>
/// Loading, from a checkpoint in the page cache to packed weights: bytes of the checkpoint a second, and the processor time, which tells a
/// slow packer from a slow system.
/// </summary>
internal static class LoadBenchmark
{
    private const int Rounds = 3;
    private const string Shape = "olmoe";

    /// <summary>Loads a folder, or two random layers of OLMoE's shape.</summary>
    public static int Run(string[] options)
    {
        using var random = options.Length == 0 ? RandomCheckpoint.Write(Shape, 2, WeightFormat.Bf16) : null;
        string folder = random?.Folder ?? options[0];
        Console.WriteLine(MachineFacts.Current());
        foreach (var format in Enum.GetValues<WeightFormat>())
        {
            for (int round = 0; round < Rounds; round++)
            {
                using var process = Process.GetCurrentProcess();
                var (user, system) = (process.UserProcessorTime, process.PrivilegedProcessorTime);
                using var model = Transformer.Load(folder, new EngineOptions { Weights = format });
                process.Refresh();
                var report = model.Report;
                Console.WriteLine(
                    $"{format,-5} {report.CheckpointBytes / 1e9:f2} GB in {report.Seconds:f2} s, {report.CheckpointBytes / report.Seconds / 1e9:f2} GB/s; "
                    + $"user {(process.UserProcessorTime - user).TotalSeconds:f2} s, system {(process.PrivilegedProcessorTime - system).TotalSeconds:f2} s");
            }
        }

        return 0;
    }
}
