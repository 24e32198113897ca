using DualSparse.Benchmarks;
using DualSparse.Benchmarks.Balancing;
using DualSparse.Benchmarks.Balancing.Vision;
using DualSparse.Benchmarks.FineTuning;
using DualSparse.Benchmarks.Ort;
using DualSparse.Benchmarks.Scenes;
using DualSparse.Benchmarks.Systems;
using DualSparse.Benchmarks.Wiring;

return args switch
{
    ["kernels", .. var options] => KernelBenchmark.Run(options),
    ["packing"] => PackingBenchmark.Run(),
    ["loading", .. var options] => LoadBenchmark.Run(options),
    ["threads"] => ThreadBenchmark.Run(),
    ["busy-core"] => BusyCoreBenchmark.Run(),
    ["turns"] => TurnBenchmark.Run(),
    ["routing"] => RoutingBenchmark.Run(),
    ["spin"] => BusyCoreBenchmark.Spin(),
    ["attention", .. var options] => AttentionBenchmark.Run(options),
    ["training", .. var options] => TrainingBenchmark.Run(options),
    ["complete-finetune", .. var options] => FineTuningBenchmark.Run(options),
    ["balance", .. var options] => BalanceFrontier.Run(options),
    ["realb", .. var options] => RealbBenchmark.Run(options),
    ["wirings", .. var options] => WiringBenchmark.Run(options),
    ["systems", .. var options] => SystemsBenchmark.Run(options),
    ["scenes", .. var options] => ScenesCommand.Run(options),
    ["ort", .. var options] => QMoeBenchmark.Run(options),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("usage: DualSparse.Benchmarks kernels [names, formats, or numbers of threads] | packing | loading [folder] | threads | busy-core | turns | routing | attention [numbers of threads] | training [model] | complete-finetune [options] | wirings [options] | systems [options] | balance [options] | realb [options] | scenes OUT [options] | ort [options]");
    return 1;
}
