using System.Diagnostics;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Probe;
using DualSparse.Kernels.Threading;

namespace DualSparse.Benchmarks;

/// <summary>
/// Attention alone, on random queries, keys and values: prompts as one chunk (operations of the visible positions, against the format's
/// ceiling) and single tokens after a long context (bytes of keys and values, against the bandwidth). Ceilings are probed in the same
/// rounds. Medians for the kernel, best rounds for the ceilings.
/// </summary>
internal static unsafe class AttentionBenchmark
{
    private const int Rounds = 9;

    private static readonly (string Name, int Heads, int Shared, int KeySize, int ValueSize)[] Shapes =
    [
        ("olmoe", 16, 16, 128, 128),
        ("qwen3-30b-a3b", 32, 4, 128, 128),
        ("deepseek-v2-lite", 16, 16, 192, 128),
        ("deepseek-v2-lite, latent", 16, 1, 576, 512),
    ];

    private static readonly (int First, int Count)[] Calls = [(0, 128), (0, 512), (0, 2048), (1536, 512), (2047, 1), (8191, 1)];

    public static int Run(string[] options)
    {
        Console.WriteLine($"{CpuFeatures.Current.Name}, .NET {Environment.Version}");
        using var weights = new AlignedBuffer(1 << 30);
        new Random(1).NextBytes(weights.AsSpan<byte>());
        foreach (int threads in options.Length > 0 ? options.Select(int.Parse).ToArray() : [1, ThreadTeam.Available])
        {
            using var team = new ThreadTeam(threads);
            using var work = new Workspace(team, KernelSet.Best());
            foreach (var (name, heads, shared, keySize, valueSize) in Shapes)
            {
                foreach (var format in (WeightFormat[])[WeightFormat.Bf16, WeightFormat.F32])
                    Measure(work, name, new AttentionShape(heads, new KvLayout(shared, keySize, valueSize, format), 1 / MathF.Sqrt(keySize)), weights);
            }
        }

        return 0;
    }

    private static void Measure(Workspace work, string name, AttentionShape shape, AlignedBuffer weights)
    {
        var team = work.Team;
        int positions = Calls.Max(c => c.First + c.Count), count = Calls.Max(c => c.Count);
        using var memory = new AttentionMemory(shape, positions, count);
        var seconds = Calls.Select(_ => new List<double>()).ToArray();
        double bandwidth = 0, rate = 0;
        for (int round = -1; round < Rounds; round++)
        {
            bandwidth = Math.Max(bandwidth, MachineProbe.ReadBytesPerSecond(team, weights));
            rate = Math.Max(rate, MachineProbe.OperationsPerSecond(team, shape.Cache.Format));
            for (int i = 0; i < Calls.Length; i++)
            {
                double elapsed = memory.Attend(work, Calls[i].First, Calls[i].Count);
                // The first round compiles.
                if (round >= 0)
                    seconds[i].Add(elapsed);
            }
        }

        Console.WriteLine($"\n{name} {shape.Cache.Format}, {team.Size} thread(s): ceilings {bandwidth / 1e9:f1} GB/s, {rate / 1e9:f0} GFLOP/s");
        Console.WriteLine("  first  tokens        ms     best  GFLOP/s  of rate   GB/s  of bandwidth");
        for (int i = 0; i < Calls.Length; i++)
        {
            var (first, tokens) = Calls[i];
            double median = seconds[i].Order().ElementAt(Rounds / 2), width = shape.Cache.KeySize + shape.Cache.ValueSize;
            double pairs = (double)tokens * first + tokens * (tokens + 1.0) / 2;
            double flops = 2 * pairs * shape.Heads * width, bytes = (shape.Cache.Format == WeightFormat.F32 ? 4 : 2) * (first + tokens) * shape.Cache.Heads * width;
            Console.WriteLine(
                $"{first,7}{tokens,8}{median * 1e3,10:f3}{seconds[i].Min() * 1e3,9:f3}{flops / median / 1e9,9:f1}{flops / median / rate,9:p0}"
                + $"{bytes / median / 1e9,7:f1}{bytes / median / bandwidth,14:p0}");
        }
    }

    /// <summary>One sequence's queries, keys and values.</summary>
    private sealed class AttentionMemory : IDisposable
    {
        private readonly AttentionShape shape;
        private readonly AlignedBuffer queries;
        private readonly AlignedBuffer output;
        private readonly AlignedBuffer table;
        private readonly List<AlignedBuffer> pages = [];

        public AttentionMemory(AttentionShape shape, int positions, int count)
        {
            this.shape = shape;
            queries = Random((nuint)count * (nuint)(shape.Heads * shape.Cache.KeySize * sizeof(float)));
            output = Random((nuint)count * (nuint)(shape.Heads * shape.Cache.ValueSize * sizeof(float)));
            table = new AlignedBuffer((nuint)(positions / KvLayout.PageKeys + 1) * (nuint)sizeof(byte*));
            for (int first = 0; first < positions; first += KvLayout.PageKeys)
            {
                pages.Add(Page());
                ((byte**)table.Pointer)[first / KvLayout.PageKeys] = pages[^1].Pointer;
            }
        }

        public double Attend(Workspace work, int first, int count)
        {
            AttentionSegment[] segments =
            [
                new()
                {
                    Queries = (float*)queries.Pointer,
                    QueryStride = shape.Heads * shape.Cache.KeySize,
                    Output = (float*)output.Pointer,
                    OutputStride = shape.Heads * shape.Cache.ValueSize,
                    Pages = (byte**)table.Pointer,
                    First = first,
                    Count = count,
                },
            ];
            long start = Stopwatch.GetTimestamp();
            AttentionKernel.Forward(work, shape, segments);
            return Stopwatch.GetElapsedTime(start).TotalSeconds;
        }

        public void Dispose()
        {
            pages.ForEach(p => p.Dispose());
            queries.Dispose();
            output.Dispose();
            table.Dispose();
        }

        private AlignedBuffer Page()
        {
            var page = new AlignedBuffer(shape.Cache.PageBytes);
            shape.Cache.Clear(page.Pointer, 0);
            var random = new Random(pages.Count);
            var elements = new float[shape.Cache.KeySize + shape.Cache.ValueSize];
            for (int slot = 0; slot < KvLayout.PageKeys; slot++)
            {
                foreach (ref float value in elements.AsSpan())
                    value = random.NextSingle() - 0.5f;
                for (int head = 0; head < shape.Cache.Heads; head++)
                    shape.Cache.Write(page.Pointer, slot, head, elements.AsSpan(0, shape.Cache.KeySize), elements.AsSpan(shape.Cache.KeySize));
            }

            return page;
        }

        private static AlignedBuffer Random(nuint bytes)
        {
            var buffer = new AlignedBuffer(bytes);
            var random = new Random(1);
            foreach (ref float value in buffer.AsSpan<float>())
                value = random.NextSingle() - 0.5f;
            return buffer;
        }
    }
}
