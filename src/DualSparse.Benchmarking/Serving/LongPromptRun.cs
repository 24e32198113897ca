using System.Diagnostics;
using System.Text.Json.Nodes;

namespace DualSparse.Benchmarking.Serving;

/// <summary>What one long prompt does to streams under way.</summary>
/// <param name="Streams">The streams.</param>
/// <param name="LongTokens">The long prompt's tokens, as the server counts them.</param>
/// <param name="Before">Time between tokens before it was sent.</param>
/// <param name="During">Time between tokens from its sending to its first token.</param>
/// <param name="LongSeconds">How long that was.</param>
/// <param name="Error">How the long request failed; null: it didn't.</param>
/// <param name="Broken">Streams that failed, by kind.</param>
/// <param name="Stretch">p99 during it over the median before it.</param>
/// <param name="Gaps">When each token came (seconds, the long prompt is sent at 0) and the time since the one before it, of all streams.</param>
internal sealed record LongPromptReport(
    int Streams, int LongTokens, Percentiles? Before, Percentiles? During, double LongSeconds, string? Error, IReadOnlyDictionary<string, int> Broken, double? Stretch,
    IReadOnlyList<(double At, double Gap)> Gaps);

/// <summary>Streams that write, and one long prompt that comes to them.</summary>
internal static class LongPromptRun
{
    // Tokens that every stream has written before it counts as under way.
    private const int Settled = 8;

    // Long enough that p99 of what was before it means something.
    private static readonly TimeSpan s_quiet = TimeSpan.FromSeconds(1.5);

    /// <summary>Runs it; streams are ended once the long prompt's first token is there.</summary>
    /// <param name="target">The server.</param>
    /// <param name="prompts">Prompts.</param>
    /// <param name="load">The streams: how many at once, their prompts and answers.</param>
    /// <param name="longTokens">The long prompt's tokens.</param>
    /// <param name="more">Fields that every request has beside the usual ones.</param>
    /// <param name="cancel">Cancels it.</param>
    /// <exception cref="InvalidOperationException">The streams ended before the long prompt came: they were asked for too few tokens.</exception>
    public static async Task<LongPromptReport> RunAsync(ServeTarget target, PromptSource prompts, ServeLoad load, int longTokens, JsonObject? more, CancellationToken cancel)
    {
        // With log-probabilities each token is an event, whatever its text.
        var each = more?.DeepClone().AsObject() ?? [];
        each["logprobs"] = target.Chat ? true : 0;
        var client = new ServeClient(target, each, Stopwatch.GetTimestamp());
        var timeout = TimeSpan.FromSeconds(load.TimeoutSeconds);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var streams = new List<(Task<ServeCall> Call, List<double> Pieces)>();
        for (int s = 0; s < load.Concurrency; s++)
        {
            var prompt = await prompts.TakeAsync(load, s, cancel).ConfigureAwait(false);
            List<double> pieces = [];
            streams.Add((client.RunAsync(client.Now, prompt, load.OutputTokens, timeout, stop.Token, pieces), pieces));
        }

        while (streams.Any(s => !s.Call.IsCompleted && Count(s.Pieces) < Settled))
            await Task.Delay(10, cancel).ConfigureAwait(false);
        await Task.Delay(s_quiet, cancel).ConfigureAwait(false);
        var longPrompt = await prompts.TakeAsync(load with { PromptTokens = longTokens, SharedPrefix = 0 }, int.MaxValue, cancel).ConfigureAwait(false);
        if (streams.All(s => s.Call.IsCompletedSuccessfully && s.Call.Result.Error is null))
            throw new InvalidOperationException($"every stream had ended before the long prompt came: ask for more than {load.OutputTokens} tokens with --output-tokens");
        double sent = client.Now;
        var call = await client.RunAsync(sent, longPrompt, 1, timeout, cancel).ConfigureAwait(false);
        double first = call.Pieces.Count > 0 ? call.Pieces[0] : call.Ended;
        await stop.CancelAsync().ConfigureAwait(false);
        foreach (var (stream, _) in streams)
            await stream.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default).ConfigureAwait(false);
        cancel.ThrowIfCancellationRequested();

        (double At, double Gap)[] gaps = [.. streams.SelectMany(s => s.Pieces.Zip(s.Pieces.Skip(1), (a, b) => (b - sent, b - a))).OrderBy(g => g.Item1)];
        // A gap that began before the long prompt and ended during it is during it.
        var before = Percentiles.Of(gaps.Where(g => g.At <= 0).Select(g => g.Gap));
        var during = Percentiles.Of(gaps.Where(g => g.At > 0 && g.At <= first - sent).Select(g => g.Gap));
        var broken = streams.Where(s => s.Call.IsCompletedSuccessfully && s.Call.Result.Error is not null).GroupBy(s => s.Call.Result.Error!).ToDictionary(g => g.Key, g => g.Count());
        return new LongPromptReport(load.Concurrency, call.PromptTokens, before, during, first - sent, call.Error, broken, during?.P99 / before?.P50, gaps);
    }

    private static int Count(List<double> pieces)
    {
        lock (pieces)
            return pieces.Count;
    }
}
