using DualSparse.Benchmarks;

return args switch
{
    ["kernels", .. var options] => KernelBenchmark.Run(options),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("usage: DualSparse.Benchmarks kernels [names, formats, or a number of threads]");
    return 1;
}
