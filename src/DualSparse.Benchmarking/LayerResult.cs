namespace DualSparse.Benchmarking;

/// <summary>What one size of batch took at one drop rate.</summary>
/// <param name="Tokens">Tokens.</param>
/// <param name="DropRate">Share of the routed experts' work left out.</param>
/// <param name="Milliseconds">Median over the rounds, one layer.</param>
/// <param name="Gflops">Operations done a second, in 10⁹.</param>
/// <param name="GigabytesPerSecond">Weights read a second, in 10⁹ bytes.</param>
/// <param name="CeilingGigabytesPerSecond">Read bandwidth: the best of the rounds between which this size ran.</param>
/// <param name="CeilingGflops">Rate of arithmetic, in 10⁹ operations a second: the best of the same rounds.</param>
/// <param name="FloorMilliseconds">max(bytes / bandwidth, operations / rate) by these ceilings, mean over the layers.</param>
/// <param name="TimesFloor">The time over the floor.</param>
/// <param name="PairedTimesFloor">Median over the rounds of a round's time over the floor by the better of the probes before and after
/// it: where the machine's bandwidth changes from one moment to the next, the fairer figure.</param>
/// <param name="TimeRatio">time(r)/time(0), 0 standing for the first rate asked for: the median over rounds of the ratio within a round.</param>
/// <param name="TimeRatioLow">The 95 % interval of this median, by order statistics: its lower end …</param>
/// <param name="TimeRatioHigh">… and its upper one.</param>
/// <param name="FloorRatio">floor(r)/floor(0).</param>
/// <param name="RoutingMilliseconds">What the router takes for the same tokens, product and choice: median; in no other figure.</param>
internal sealed record LayerResult(
    int Tokens, double DropRate, double Milliseconds, double Gflops, double GigabytesPerSecond, double CeilingGigabytesPerSecond, double CeilingGflops,
    double FloorMilliseconds, double TimesFloor, double PairedTimesFloor, double TimeRatio, double TimeRatioLow, double TimeRatioHigh, double FloorRatio, double RoutingMilliseconds)
{
    /// <summary>Sums up the rounds of a variant; <paramref name="probes"/>: before the warming round, before each round, and at the end.</summary>
    internal static LayerResult Of(int tokens, LayerVariant variant, LayerVariant first, IReadOnlyList<Ceiling> probes, double routingSeconds)
    {
        var best = probes.Aggregate((a, b) => a.Or(b));
        double seconds = Statistics.Median(variant.Seconds), floor = best.Seconds(variant.Floor);
        double[] paired = [.. variant.Seconds.Select((s, i) => s / probes[i + 1].Or(probes[i + 2]).Seconds(variant.Floor))];
        double[] ratios = [.. variant.Seconds.Select((s, i) => s / first.Seconds[i])];
        var (low, high) = Statistics.MedianInterval(ratios);
        return new LayerResult(
            tokens, variant.DropRate, seconds * 1e3, variant.Floor.Operations / seconds / 1e9, variant.Floor.Bytes / seconds / 1e9,
            best.BytesPerSecond / 1e9, best.OperationsPerSecond / 1e9, floor * 1e3, seconds / floor, Statistics.Median(paired),
            Statistics.Median(ratios), low, high, floor / best.Seconds(first.Floor), routingSeconds * 1e3);
    }
}

/// <summary>One shape's results and the ceilings of the same run.</summary>
/// <param name="Results">For each number of tokens and each drop rate.</param>
/// <param name="ReadGigabytesPerSecond">The best round of reading a gigabyte.</param>
/// <param name="RateGflops">The best round of the strongest instruction.</param>
/// <param name="Kernel">The kernel that multiplied.</param>
internal sealed record LayerReport(IReadOnlyList<LayerResult> Results, double ReadGigabytesPerSecond, double RateGflops, string Kernel);
