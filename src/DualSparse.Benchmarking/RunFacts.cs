using System.Text.Json.Serialization;

namespace DualSparse.Benchmarking;

/// <summary>The facts about a run that belong to a measurement.</summary>
/// <param name="Threads">The number of threads.</param>
/// <param name="Kernel">The kernel that multiplied.</param>
/// <param name="Weights">The format of the weights: bf16, f32, int8 or int4.</param>
/// <param name="ReadGigabytesPerSecond">This run's ceiling of reading memory, in 10⁹ bytes a second: the best round.</param>
/// <param name="RateGflops">This run's ceiling of arithmetic, in 10⁹ operations a second: the best round.</param>
internal sealed record RunFacts(int Threads, string Kernel, string Weights, double ReadGigabytesPerSecond, double RateGflops)
{
    /// <summary>Threads, kernel and weights in one line.</summary>
    [JsonIgnore]
    public string Heading => $"{Threads} {(Threads == 1 ? "thread" : "threads")}, kernel {Kernel}, weights {Weights}";

    /// <summary>The ceilings in one line.</summary>
    [JsonIgnore]
    public string Ceilings => $"ceilings of this run: read {ReadGigabytesPerSecond:0.0} GB/s, arithmetic {RateGflops:0} GFLOP/s";
}
