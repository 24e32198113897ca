using System.Diagnostics;
using DualSparse.Benchmarking;
using DualSparse.Engine;
using DualSparse.Kernels;

namespace DualSparse.Benchmarks;

/// <summary>
/// Tokens appended to a long context under latent attention, expanded and absorbed alternately: two layers of DeepSeek-V2-Lite's shape with
/// random weights. Here tokens marked as generated are absorbed, others expanded.
/// </summary>
internal static class TurnBenchmark
{
    private const int Rounds = 5, Layers = 2, Chunk = 512;

    private static readonly int[] Contexts = [512, 2048], Turns = [8, 32, 64, 100, 130, 171, 256];

    public static int Run()
    {
        Console.WriteLine($"{CpuFeatures.Current.Name}, .NET {Environment.Version}");
        foreach (var weights in new[] { WeightFormat.Bf16, WeightFormat.Int8 })
        {
            using var random = RandomCheckpoint.Write("deepseek-v2-lite", Layers, weights);
            using var model = Transformer.Load(random.Folder, new EngineOptions { Weights = weights });
            foreach (int context in Contexts)
            {
                using var cache = model.NewCache(context + Turns[^1]);
                int[] ids = [.. Enumerable.Range(0, context + Turns[^1])];
                for (int i = 0; i < context; i += Chunk)
                    model.Forward(cache, ids.AsSpan(i, Chunk), LogitRows.None);
                foreach (int turn in Turns)
                    Measure(model, cache, weights, ids.AsMemory(context, turn));
            }
        }

        return 0;
    }

    private static void Measure(Transformer model, KvCache cache, WeightFormat weights, ReadOnlyMemory<int> turn)
    {
        int context = cache.Length;
        List<double> expanded = [], absorbed = [];
        // The first round warms up.
        for (int round = -1; round < Rounds; round++)
        {
            foreach (bool absorb in new[] { false, true })
            {
                long start = Stopwatch.GetTimestamp();
                model.Forward([new SequenceChunk(cache, turn, LogitRows.None, Generated: absorb)]);
                if (round >= 0)
                    (absorb ? absorbed : expanded).Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
                cache.Truncate(context);
            }
        }

        var (slow, fast) = (Statistics.Median(expanded), Statistics.Median(absorbed));
        Console.WriteLine($"  {weights}, {turn.Length,3} tokens after {context,4}: expanded {slow:f1} ms, absorbed {fast:f1} ms, {slow / fast:f2} times");
    }
}
