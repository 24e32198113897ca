namespace DualSparse.Benchmarking;

/// <summary>The result of one batch size at one drop rate.</summary>
/// <param name="Tokens">Tokens in the batch.</param>
/// <param name="DropRate">The share of the routed experts' work that was dropped.</param>
/// <param name="Milliseconds">Median over the rounds, one layer.</param>
/// <param name="Gflops">Operations done a second, in 10⁹.</param>
/// <param name="GigabytesPerSecond">Weights read a second, in 10⁹ bytes.</param>
/// <param name="CeilingGigabytesPerSecond">Read bandwidth: the best of the rounds between which this size ran.</param>
/// <param name="CeilingGflops">Rate of arithmetic, in 10⁹ operations a second: the best of the same rounds.</param>
/// <param name="FloorMilliseconds">The roofline time: max(bytes / bandwidth, operations / rate) by these ceilings, mean over the layers.</param>
/// <param name="TimesFloor">The time divided by the roofline time.</param>
/// <param name="PairedTimesFloor">Median over the rounds of a round's time divided by the roofline time by the better of the probes before and after
/// it: the fairer number if the machine's bandwidth varies.</param>
/// <param name="TimeRatio">time(r)/time(0), where 0 is the first rate requested: the median over rounds of the ratio within a round.</param>
/// <param name="TimeRatioLow">The 95 % interval of this median, by order statistics: its lower end …</param>
/// <param name="TimeRatioHigh">… and its upper end.</param>
/// <param name="FloorRatio">The ratio of the roofline times, floor(r)/floor(0).</param>
/// <param name="RoutingMilliseconds">The time of the router for the same tokens, product and choice: median; not part of the other times.</param>
internal sealed record LayerResult(
    int Tokens, double DropRate, double Milliseconds, double Gflops, double GigabytesPerSecond, double CeilingGigabytesPerSecond, double CeilingGflops,
    double FloorMilliseconds, double TimesFloor, double PairedTimesFloor, double TimeRatio, double TimeRatioLow, double TimeRatioHigh, double FloorRatio, double RoutingMilliseconds)
{
    /// <summary>
    /// Summarises the rounds of a variant; <paramref name="probes"/> are before the warm-up round, before each round, and at the end.
    /// </summary>
    internal static LayerResult Of(int tokens, LayerVariant variant, LayerVariant first, IReadOnlyList<Ceiling> probes, double routingSeconds)
    {
        var best = probes.Aggregate((a, b) => a.Or(b));
        double seconds = Statistics.Median(variant.Seconds), roofline = best.Seconds(variant.Roofline);
        double[] paired = [.. variant.Seconds.Select((s, i) => s / probes[i + 1].Or(probes[i + 2]).Seconds(variant.Roofline))];
        double[] ratios = [.. variant.Seconds.Select((s, i) => s / first.Seconds[i])];
        var (low, high) = Statistics.MedianInterval(ratios);
        return new LayerResult(
            tokens, variant.DropRate, seconds * 1e3, variant.Roofline.Operations / seconds / 1e9, variant.Roofline.Bytes / seconds / 1e9,
            best.BytesPerSecond / 1e9, best.OperationsPerSecond / 1e9, roofline * 1e3, seconds / roofline, Statistics.Median(paired),
            Statistics.Median(ratios), low, high, roofline / best.Seconds(first.Roofline), routingSeconds * 1e3);
    }
}

/// <summary>One shape's results and the ceilings of the same run.</summary>
/// <param name="Results">For each number of tokens and each drop rate.</param>
/// <param name="ReadGigabytesPerSecond">The best round of reading a gigabyte.</param>
/// <param name="RateGflops">The best round of the strongest instruction.</param>
/// <param name="Kernel">The kernel that multiplied.</param>
internal sealed record LayerReport(IReadOnlyList<LayerResult> Results, double ReadGigabytesPerSecond, double RateGflops, string Kernel);
