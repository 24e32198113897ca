using System.Diagnostics;
using System.Diagnostics.Metrics;
using DualSparse.Engine.Serving.Batching;

namespace DualSparse.Server;

/// <summary>
/// The server's figures: OpenTelemetry's names for generating (gen_ai.*, semantic conventions for generative AI, status Development) and our own
/// for what only this server has (dualsparse.*).
/// </summary>
internal sealed class ServerMetrics : IDisposable
{
    /// <summary>The meter that a collector listens to.</summary>
    public const string MeterName = "DualSparse";

    // From a token to an answer of minutes: the convention's boundaries.
    private static readonly InstrumentAdvice<double> s_seconds = new() { HistogramBucketBoundaries = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92] };

    // The same for a token alone, and for the first.
    private static readonly InstrumentAdvice<double> s_token = new() { HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] };

    private static readonly InstrumentAdvice<long> s_counts = new() { HistogramBucketBoundaries = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576] };

    private static readonly InstrumentAdvice<double> s_shares = new() { HistogramBucketBoundaries = [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.75] };

    private static readonly InstrumentAdvice<double> s_losses = new() { HistogramBucketBoundaries = [0, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128] };

    private readonly Meter meter;
    private readonly Histogram<double> duration, firstToken, perToken, drop, expected;
    private readonly Histogram<long> tokens;
    private readonly Counter<long> requests, cached;

    /// <summary>Makes the instruments.</summary>
    public ServerMetrics(ModelHost host)
    {
        meter = new Meter(MeterName);
        duration = meter.CreateHistogram("gen_ai.server.request.duration", "s", "From a request's arrival to its end.", null, s_seconds);
        firstToken = meter.CreateHistogram("gen_ai.server.time_to_first_token", "s", "From a request's arrival to its first token.", null, s_token);
        perToken = meter.CreateHistogram("gen_ai.server.time_per_output_token", "s", "A request's time for each token after the first.", null, s_token);
        tokens = meter.CreateHistogram("gen_ai.client.token.usage", "{token}", "Tokens of a request.", null, s_counts);
        requests = meter.CreateCounter<long>("dualsparse.requests", "{request}", "Requests that have ended, by status.");
        cached = meter.CreateCounter<long>("dualsparse.cached_tokens", "{token}", "Prompt tokens whose keys and values were there already.");
        drop = meter.CreateHistogram("dualsparse.drop_share", "1", "The share of the routed experts' work that a request skipped.", null, s_shares);
        expected = meter.CreateHistogram("dualsparse.expected_kl", "1", "The KL to the dense run to expect of a request, nats a token.", null, s_losses);
        Gauge("dualsparse.running", "{request}", "Requests that are generating.", state => state.Running);
        Gauge("dualsparse.waiting", "{request}", "Requests in the queue.", state => state.Waiting);
        Gauge("dualsparse.waiting_tokens", "{token}", "Prompt tokens of the requests in the queue.", state => state.WaitingTokens);
        Gauge("dualsparse.pages_used", "{page}", "Pages of keys and values in use.", state => state.PagesUsed);
        Gauge("dualsparse.pages_kept", "{page}", "Of these, those kept for texts to come alone.", state => state.PagesKept);
        Gauge("dualsparse.pages_total", "{page}", "Pages of keys and values that there may be.", state => state.PagesTotal);
        Count("dualsparse.steps", "{step}", "Passes through the model.", state => state.Steps);
        Count("dualsparse.preempted", "{text}", "Texts that gave their pages up and were computed again.", state => state.Preempted);

        void Gauge(string name, string unit, string description, Func<SchedulerState, long> read) => meter.CreateObservableGauge(name, () => Now(read), unit, description);
        void Count(string name, string unit, string description, Func<SchedulerState, long> read) => meter.CreateObservableCounter(name, () => Now(read), unit, description);
        IEnumerable<Measurement<long>> Now(Func<SchedulerState, long> read) => host.Known is { } served ? [new Measurement<long>(read(served.Scheduler.State))] : [];
    }

    /// <summary>Takes a request that has ended.</summary>
    /// <param name="call">The request.</param>
    /// <param name="failure">How it failed; null: it didn't.</param>
    public void Ended(Call call, ApiException? failure)
    {
        if (call.Operation is null)
            return;
        // Ids that nobody has are no label: anybody could make up as many as he likes.
        var tags = new TagList { { "gen_ai.operation.name", call.Operation }, { "gen_ai.request.model", call.Model ?? "unknown" } };
        requests.Add(1, [.. tags, new("status", failure?.Status ?? 200), new("code", failure?.Code ?? "ok")]);
        duration.Record(call.Elapsed.TotalSeconds, failure is null ? tags : [.. tags, new("error.type", failure.Code ?? $"{failure.Status}")]);
        if (call.FirstToken is { } first)
            firstToken.Record(first.TotalSeconds, tags);
        if (call.Used is not { } used)
            return;
        if (call.FirstToken is { } begun && used.GeneratedTokens > 1)
            perToken.Record((call.Elapsed - begun).TotalSeconds / (used.GeneratedTokens - 1), tags);
        tokens.Record(used.PromptTokens, [.. tags, new("gen_ai.token.type", "input")]);
        tokens.Record(used.GeneratedTokens, [.. tags, new("gen_ai.token.type", "output")]);
        cached.Add(used.CachedTokens, tags);
        drop.Record(used.Dropped.Rate, tags);
        if (used.Expected is { } loss)
            expected.Record(loss.Kl.Value, tags);
    }

    /// <summary>Ends the instruments.</summary>
    public void Dispose() => meter.Dispose();
}
