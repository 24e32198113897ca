using DualSparse.Benchmarks;

return args switch
{
    ["kernels", .. var options] => KernelBenchmark.Run(options),
    ["packing"] => PackingBenchmark.Run(),
    ["threads"] => ThreadBenchmark.Run(),
    ["attention", .. var options] => AttentionBenchmark.Run(options),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("usage: DualSparse.Benchmarks kernels [names, formats, or numbers of threads] | packing | threads | attention [numbers of threads]");
    return 1;
}
