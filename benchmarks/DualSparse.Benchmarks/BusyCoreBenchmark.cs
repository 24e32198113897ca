using System.Diagnostics;
using DualSparse.Benchmarking;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;

namespace DualSparse.Benchmarks;

/// <summary>
/// One mixture-of-experts layer on all threads, alternately by itself and beside another process that keeps one core busy; then the
/// processor time of the idle team. Medians over rounds.
/// </summary>
internal static unsafe class BusyCoreBenchmark
{
    private const int Rounds = 7;
    private const double RoundSeconds = 0.8;
    private const double IdleSeconds = 3;

    // The other process ends by itself if this one can't end it.
    private const int LongestSpinSeconds = 60;

    public static int Run()
    {
        var shape = LayerShape.Named("olmoe");
        using var team = new ThreadTeam(ThreadTeam.Available);
        using var work = new Workspace(team, KernelSet.Best());
        Console.WriteLine($"{CpuFeatures.Current.Name}, .NET {Environment.Version}, {team.Size} threads, {shape.Name}; the other process on core 0");
        foreach (var weights in new[] { WeightFormat.Int8, WeightFormat.Bf16 })
        {
            using var experts = RandomExperts.Make(weights, shape.Experts, shape.Hidden, shape.Neurons, 1);
            foreach (int tokens in (int[])[1, 32, 512])
            {
                var layer = new Layer(shape, experts, tokens);
                List<double> free = [], beside = [];
                for (int round = -1; round < Rounds; round++)
                {
                    double alone = layer.TokensPerSecond(work, RoundSeconds);
                    using var other = BusyProcess.Start(core: 0);
                    double besideOther = layer.TokensPerSecond(work, RoundSeconds);
                    // The first round compiles.
                    if (round < 0)
                        continue;
                    free.Add(alone);
                    beside.Add(besideOther / alone);
                }

                beside.Sort();
                Console.WriteLine($"  {weights}, {tokens} tokens: {Statistics.Median(free):f0} tokens/s free, beside {beside[Rounds / 2]:f2} of that (from {beside[0]:f2} to {beside[^1]:f2})");
            }
        }

        Thread.Sleep(100);
        using var self = Process.GetCurrentProcess();
        var (before, watch) = (self.TotalProcessorTime, Stopwatch.StartNew());
        Thread.Sleep(TimeSpan.FromSeconds(IdleSeconds));
        self.Refresh();
        Console.WriteLine($"  idle: {(self.TotalProcessorTime - before) / watch.Elapsed:p2} of one core");
        return 0;
    }

    /// <summary>The other process: spins without a pause.</summary>
    public static int Spin()
    {
        Console.WriteLine("busy");
        for (var watch = Stopwatch.StartNew(); watch.Elapsed.TotalSeconds < LongestSpinSeconds;)
            Thread.SpinWait(1000);
        return 0;
    }

    /// <summary>Batches of one size, different at each step.</summary>
    private sealed class Layer
    {
        private readonly ExpertBatch[] batches;
        private readonly PackedExperts experts;
        private readonly float[] input;
        private readonly float[] output;
        private readonly int tokens;
        private int step;

        public Layer(LayerShape shape, PackedExperts experts, int tokens)
        {
            (this.experts, this.tokens) = (experts, tokens);
            var plans = Enumerable.Range(0, shape.Experts / shape.TopK).Select(s => RandomRouting.Make(shape, tokens, s)).ToArray();
            if (tokens == 1)
                RandomRouting.AssignDistinctExperts(shape, plans, layers: 1);
            batches = [.. plans.Select(plan =>
            {
                DropPolicy.Apply(plan, null);
                var batch = new ExpertBatch();
                RowLists.Build(plan, ExpertPlacement.SingleRank(shape.Experts), 0, batch);
                return batch;
            })];
            (input, output) = (new float[tokens * shape.Hidden], new float[tokens * shape.Hidden]);
            var random = new Random(7);
            foreach (ref float x in input.AsSpan())
                x = random.NextSingle() * 2 - 1;
        }

        public double TokensPerSecond(Workspace work, double seconds)
        {
            var watch = Stopwatch.StartNew();
            int done = 0;
            fixed (float* x = input, y = output)
            {
                for (; watch.Elapsed.TotalSeconds < seconds; done += tokens)
                    GroupedGemm.Forward(work, experts, batches[step++ % batches.Length], x, tokens, y);
            }

            return done / watch.Elapsed.TotalSeconds;
        }
    }

    /// <summary>A second process of this program that spins on one core until it is disposed.</summary>
    private sealed class BusyProcess : IDisposable
    {
        private readonly Process process;

        private BusyProcess(Process process) => this.process = process;

        public static BusyProcess Start(int core)
        {
            string program = Environment.ProcessPath!;
            // Started by 'dotnet X.dll' or by its own name.
            string[] arguments = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [typeof(BusyProcess).Assembly.Location, "spin"] : ["spin"];
            var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
            if (OperatingSystem.IsLinux() || OperatingSystem.IsWindows())
                process.ProcessorAffinity = 1 << core;
            if (process.StandardOutput.ReadLine() != "busy")
                throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} didn't start; it is to keep a core busy");
            return new BusyProcess(process);
        }

        public void Dispose()
        {
            process.Kill();
            process.WaitForExit();
            process.Dispose();
        }
    }
}
