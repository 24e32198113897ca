using System.Diagnostics;
using System.Text.Json.Nodes;
using DualSparse.Engine.Serving;

namespace DualSparse.Benchmarking.Serving;

/// <summary>Puts a load on a server.</summary>
/// <param name="Load">The load.</param>
/// <param name="Calls">Every request, in the order in which they were due.</param>
/// <param name="Seconds">From the first request to the end of the last answer.</param>
/// <param name="ClientCpuSeconds">Processor time that this process took meanwhile.</param>
internal sealed record LoadRun(ServeLoad Load, IReadOnlyList<ServeCall> Calls, double Seconds, double ClientCpuSeconds)
{
    /// <summary>Runs it; everything that was sent is waited for.</summary>
    /// <param name="target">The server.</param>
    /// <param name="prompts">Prompts.</param>
    /// <param name="load">The load.</param>
    /// <param name="more">Fields that every request has beside the usual ones.</param>
    /// <param name="cancel">Cancels it.</param>
    public static async Task<LoadRun> RunAsync(ServeTarget target, PromptSource prompts, ServeLoad load, JsonObject? more, CancellationToken cancel)
    {
        using var self = Process.GetCurrentProcess();
        var busy = self.TotalProcessorTime;
        var client = new ServeClient(target, more, Stopwatch.GetTimestamp());
        var calls = load.Rate is { } rate
            ? await OpenAsync(client, prompts, load, Arrivals(rate, load), cancel).ConfigureAwait(false)
            : await ClosedAsync(client, prompts, load, cancel).ConfigureAwait(false);
        double seconds = calls.Count == 0 ? 0 : calls.Max(c => c.Ended) - calls.Min(c => c.Sent);
        self.Refresh();
        return new LoadRun(load, [.. calls.OrderBy(c => c.Due)], seconds, (self.TotalProcessorTime - busy).TotalSeconds);
    }

    /// <summary>Times of a Poisson process, in seconds: gaps are exponential, with the mean 1 / rate.</summary>
    internal static IEnumerable<double> Arrivals(double rate, ServeLoad load)
    {
        var random = new SplitMix64(load.Seed);
        double at = 0;
        for (int request = 0; request < (load.Requests ?? int.MaxValue); request++)
        {
            if (at > (load.Seconds ?? double.PositiveInfinity))
                yield break;
            yield return at;
            at -= Math.Log(1 - random.NextUnit()) / rate;
        }
    }

    // Whatever the server does: a request is sent when it is due.
    private static async Task<IReadOnlyList<ServeCall>> OpenAsync(ServeClient client, PromptSource prompts, ServeLoad load, IEnumerable<double> arrivals, CancellationToken cancel)
    {
        List<Task<ServeCall>> running = [];
        foreach (double due in arrivals)
        {
            // Prompts are made before they are due, so that making them costs no time then.
            var prompt = await prompts.TakeAsync(load, running.Count, cancel).ConfigureAwait(false);
            // A timer may ring a little early.
            while (due - client.Now is > 0 and var wait)
                await Task.Delay(TimeSpan.FromSeconds(wait), cancel).ConfigureAwait(false);
            running.Add(client.RunAsync(due, prompt, load.OutputTokens, TimeSpan.FromSeconds(load.TimeoutSeconds), cancel));
        }

        return await Task.WhenAll(running).ConfigureAwait(false);
    }

    // So many at any time: as one ends, the next begins.
    private static async Task<IReadOnlyList<ServeCall>> ClosedAsync(ServeClient client, PromptSource prompts, ServeLoad load, CancellationToken cancel)
    {
        int next = -1;
        var calls = await Task.WhenAll(Enumerable.Range(0, load.Concurrency).Select(_ => Task.Run(WorkAsync, cancel))).ConfigureAwait(false);
        return [.. calls.SelectMany(c => c)];

        async Task<List<ServeCall>> WorkAsync()
        {
            List<ServeCall> own = [];
            while (true)
            {
                int request = Interlocked.Increment(ref next);
                if (request >= (load.Requests ?? int.MaxValue) || client.Now > (load.Seconds ?? double.PositiveInfinity))
                    return own;
                var prompt = await prompts.TakeAsync(load, request, cancel).ConfigureAwait(false);
                own.Add(await client.RunAsync(client.Now, prompt, load.OutputTokens, TimeSpan.FromSeconds(load.TimeoutSeconds), cancel).ConfigureAwait(false));
            }
        }
    }
}
