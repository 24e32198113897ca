using System.Diagnostics;
using DualSparse.Benchmarking;
using DualSparse.Kernels.Probe;
using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Training;
using DualSparse.Training.Optimisation;

namespace DualSparse.Benchmarks;

/// <summary>
/// Steps of training, nothing left out: forward and backward pass, clipping, AdamW, packing of the new weights. Beside them, in turn, what the same
/// kernel reaches on a product of 1024 by 1024 by 1024.
/// </summary>
internal static class TrainingBenchmark
{
    private const int Windows = 8, Length = 512, WarmUp = 4, Rounds = 7, StepsARound = 3;

    /// <summary>Measures a model's shape, with random values, in both forms of products.</summary>
    /// <param name="options">The model's folder; none: the one that ships.</param>
    public static int Run(string[] options)
    {
        var config = ModelConfig.Load(options is [var folder] ? folder : Path.Combine("models", "olmoe-mini"));
        Console.WriteLine($"| kernel | tokens/s | GFLOP/s | product GFLOP/s | share (lowest to highest round) | forward and backward ms | clipping and AdamW ms | peak memory MiB |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|");
        foreach (var format in new[] { ProductFormat.Bf16, ProductFormat.F32 })
            Measure(config, format);
        return 0;
    }

    private static void Measure(ModelConfig config, ProductFormat format)
    {
        using var team = new ThreadTeam(ThreadTeam.Available);
        using var model = new TrainableModel(config, team, format);
        using var optimizer = new AdamW(model.Parameters, new AdamWOptions());
        Initialisation.Fill(model.Parameters, config, Initialisation.DefaultDeviation, seed: 1, team);
        var random = new Random(1);
        int[] ids = [.. Enumerable.Range(0, Windows * Length).Select(_ => random.Next(config.VocabSize))];
        var batch = new WindowBatch(Windows, Length, ids, ids);
        double operations = model.Operations(batch);
        List<double> steps = [], passes = [], products = [], shares = [];
        for (int i = 0; i < WarmUp; i++)
            Step();
        for (int round = 0; round < Rounds; round++)
        {
            var times = Enumerable.Range(0, StepsARound).Select(_ => Step()).ToArray();
            double product = ProductProbe.OperationsPerSecond(team, model.Arithmetic.Kernel), step = Statistics.Median([.. times.Select(t => t.All)]);
            steps.Add(step);
            passes.Add(Statistics.Median([.. times.Select(t => t.Passes)]));
            products.Add(product);
            shares.Add(operations / step / product);
        }

        double all = Statistics.Median(steps);
        Console.WriteLine(
            $"| {model.Kernel} | {batch.Tokens / all:0} | {operations / all / 1e9:0} | {Statistics.Median(products) / 1e9:0} | {Statistics.Median(shares):0.00} ({shares.Min():0.00} to {shares.Max():0.00}) | {1e3 * Statistics.Median(passes):0} | {1e3 * (all - Statistics.Median(passes)):0} | {Process.GetCurrentProcess().PeakWorkingSet64 >> 20} |");

        (double All, double Passes) Step()
        {
            long began = Stopwatch.GetTimestamp();
            model.ClearGradients();
            model.Backward(batch, new LossCoefficients(0.01f, 0.001f));
            double done = Stopwatch.GetElapsedTime(began).TotalSeconds;
            optimizer.Step(team, 1e-5, GradientNorm.ClippingFactor(GradientNorm.Of(team, model.Parameters), 1));
            model.ValuesChanged();
            return (Stopwatch.GetElapsedTime(began).TotalSeconds, done);
        }
    }
}
