namespace DualSparse.Distributed.Measuring;

/// <summary>One scheme's exchange on one arrangement.</summary>
/// <param name="Scheme">Which.</param>
/// <param name="DispatchBytes">Bytes that each rank has sent in a dispatch.</param>
/// <param name="CombineBytes">Bytes that each rank has sent in a combine.</param>
/// <param name="DispatchSeconds">Each round's dispatch on the slowest rank.</param>
/// <param name="CombineSeconds">Each round's combine on the slowest rank.</param>
/// <param name="LargestError">The largest relative difference from one process's sums, of all rounds and ranks.</param>
internal sealed record ExchangeTimes(
    ExchangeScheme Scheme, IReadOnlyList<long> DispatchBytes, IReadOnlyList<long> CombineBytes, IReadOnlyList<double> DispatchSeconds, IReadOnlyList<double> CombineSeconds, double LargestError)
{
    /// <summary>Each round's dispatch and combine.</summary>
    public IEnumerable<double> Seconds => DispatchSeconds.Zip(CombineSeconds, (there, back) => there + back);
}

/// <summary>Both schemes on one arrangement: round i of the one belongs to round i of the other.</summary>
/// <param name="Arrangement">E×T.</param>
/// <param name="SplitExperts">S-ETP.</param>
/// <param name="GroupsThenParts">EP×TP.</param>
internal sealed record ExchangeComparison(ExpertArrangement Arrangement, ExchangeTimes SplitExperts, ExchangeTimes GroupsThenParts)
{
    /// <summary>S-ETP's bandwidth over EP×TP's, round by round: both put in the same bytes.</summary>
    public IEnumerable<double> BandwidthRatios => SplitExperts.Seconds.Zip(GroupsThenParts.Seconds, (split, grouped) => grouped / split);
}
