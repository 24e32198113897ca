using System.Diagnostics;
using DualSparse.Benchmarking;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Threading;
using DualSparse.Models;

namespace DualSparse.Benchmarks;

/// <summary>
/// From router logits to the experts' row lists, stage by stage: the work between the router's product and the experts'. Medians over
/// rounds.
/// </summary>
internal static unsafe class RoutingBenchmark
{
    private const int Rounds = 31;

    public static int Run()
    {
        using var team = new ThreadTeam(ThreadTeam.Available);
        using var work = new Workspace(team, KernelSet.Best());
        Console.WriteLine($"{CpuFeatures.Current.Name}, .NET {Environment.Version}, {team.Size} threads; milliseconds");
        foreach (var (experts, topK, tokens) in new[] { (64, 8, 512), (128, 8, 2048), (512, 10, 2048) })
            Measure(work, new MoeConfig { Experts = experts, TopK = topK, Intermediate = 1, NormTopK = true }, tokens);
        return 0;
    }

    private static void Measure(Workspace work, MoeConfig config, int tokens)
    {
        var random = new Random(1);
        var logits = new float[tokens * config.Experts];
        foreach (ref float logit in logits.AsSpan())
            logit = 8 * (random.NextSingle() + random.NextSingle() - 1);
        // Each choice overwrites the logits, so they are restored before it, outside the timing.
        using var scratch = new ScratchBuffer();
        float* scores = scratch.Floats(logits.Length);
        var plan = new RoutingPlan();
        plan.Reset(tokens, config.TopK);
        var rule = LayerRule.Of(new DropRequest { Thresholds = new DropThresholds(0.05f, 0.08f) }, layer: 0, config.Experts);
        var batch = new ExpertBatch();
        var placement = ExpertPlacement.SingleRank(config.Experts);
        double choose = Median(
            () => logits.CopyTo(new Span<float>(scores, logits.Length)),
            () => RouterRule.Choose(work.Team, config, scores, plan));
        double decide = Median(() => { }, () => DropPolicy.Apply(plan, rule));
        double lists = Median(() => { }, () => RowLists.Build(plan, placement, 0, batch));
        Console.WriteLine($"  {config.Experts,3} experts, {config.TopK,2} a token, {tokens,4} tokens: choice {choose:f3}, drop decision {decide:f3}, row lists {lists:f3}");
    }

    private static double Median(Action prepare, Action body)
    {
        // Runs past the runtime's first, unoptimised code.
        for (long start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start).TotalSeconds < 0.4;)
            Once();
        return Statistics.Median([.. Enumerable.Range(0, Rounds).Select(_ => Once())]);

        double Once()
        {
            prepare();
            long start = Stopwatch.GetTimestamp();
            body();
            return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        }
    }
}
