namespace DualSparse.Benchmarking.Serving;

/// <summary>The middle and the slow end of some times, in milliseconds; null where there are none.</summary>
/// <param name="P50">The median.</param>
/// <param name="P95">What 95 % are not above.</param>
/// <param name="P99">What 99 % are not above.</param>
internal sealed record Percentiles(double P50, double P95, double P99)
{
    /// <summary>Those of times in seconds; null: there are none.</summary>
    public static Percentiles? Of(IEnumerable<double> seconds)
    {
        double[] all = [.. seconds.Select(s => 1e3 * s)];
        return all.Length == 0 ? null : new(Statistics.Quantile(all, 0.5), Statistics.Quantile(all, 0.95), Statistics.Quantile(all, 0.99));
    }
}

/// <summary>What a load showed.</summary>
/// <param name="Load">The load: "4/s" or "16 at once".</param>
/// <param name="Level">Requests a second, or at once.</param>
/// <param name="Requests">Requests sent.</param>
/// <param name="Answered">Of these, answered to their end.</param>
/// <param name="Errors">The others, by kind.</param>
/// <param name="Seconds">From the first request to the end of the last answer.</param>
/// <param name="PromptTokens">The mean prompt of those answered, as the server counts.</param>
/// <param name="CachedShare">The share of these tokens that the server had in a cache.</param>
/// <param name="OutputTokens">The mean answer.</param>
/// <param name="RequestsPerSecond">Requests answered a second.</param>
/// <param name="TokensPerSecond">Tokens of answers a second, all requests together.</param>
/// <param name="TokensPerEvent">Tokens of an answer over its events with text: above 1, gaps are between several tokens.</param>
/// <param name="FirstToken">Time to the first token (TTFT), of those answered.</param>
/// <param name="BetweenTokens">Time from one event with text to the next (ITL), of those answered.</param>
/// <param name="Whole">Time of a whole answer.</param>
/// <param name="Lateness">How much later than due requests were sent: this program's own doing.</param>
/// <param name="ClientCpu">Processors that this program kept busy.</param>
internal sealed record ServeReport(
    string Load, double Level, int Requests, int Answered, IReadOnlyDictionary<string, int> Errors, double Seconds, double PromptTokens, double CachedShare, double OutputTokens,
    double RequestsPerSecond, double TokensPerSecond, double TokensPerEvent, Percentiles? FirstToken, Percentiles? BetweenTokens, Percentiles? Whole, Percentiles? Lateness, double ClientCpu)
{
    /// <summary>The figures of a run.</summary>
    public static ServeReport Of(LoadRun run)
    {
        ServeCall[] good = [.. run.Calls.Where(c => c.Error is null)];
        long prompt = good.Sum(c => (long)c.PromptTokens), output = good.Sum(c => (long)c.OutputTokens), events = good.Sum(c => (long)c.Pieces.Count);
        double seconds = Math.Max(run.Seconds, 1e-9);
        return new ServeReport(
            run.Load.Name, run.Load.Rate ?? run.Load.Concurrency, run.Calls.Count, good.Length,
            run.Calls.Where(c => c.Error is not null).GroupBy(c => c.Error!).OrderBy(g => g.Key, StringComparer.Ordinal).ToDictionary(g => g.Key, g => g.Count()),
            run.Seconds, Mean(prompt, good.Length), Mean(good.Sum(c => (long)c.CachedTokens), prompt), Mean(output, good.Length),
            good.Length / seconds, output / seconds, Mean(output, events),
            Percentiles.Of(good.Select(c => c.FirstToken).OfType<double>()), Percentiles.Of(good.SelectMany(c => c.Gaps)), Percentiles.Of(good.Select(c => c.Ended - c.Sent)),
            Percentiles.Of(run.Calls.Select(c => c.Sent - c.Due)), run.ClientCpuSeconds / seconds);
    }

    /// <summary>What of the figures may be this program's doing rather than the server's, a sentence each.</summary>
    public IEnumerable<string> Doubts()
    {
        // A tenth of the least time that is shown is seen in it.
        if (Lateness is { } late && FirstToken is { } first && late.P99 > 0.1 * first.P50 && late.P99 > 1)
            yield return FormattableString.Invariant($"{Load}: requests left up to {late.P99:0.#} ms late (p99), which times to the first token don't count");
        if (ClientCpu > 0.5)
            yield return FormattableString.Invariant($"{Load}: this program kept {ClientCpu:0.0} processors busy; on the server's machine it takes them from it");
        if (TokensPerEvent > 1.05)
            yield return FormattableString.Invariant($"{Load}: an event has {TokensPerEvent:0.00} tokens in the mean, so a gap between events is no gap between tokens");
        if (Answered > 0 && Answered < 100)
            yield return FormattableString.Invariant($"{Load}: {Answered} answers; their p99 is nearly the slowest");
    }

    private static double Mean(long sum, long count) => count == 0 ? 0 : (double)sum / count;
}
