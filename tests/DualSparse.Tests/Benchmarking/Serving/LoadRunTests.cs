using System.Text.Json.Nodes;
using DualSparse.Benchmarking.Serving;

namespace DualSparse.Tests.Benchmarking.Serving;

/// <summary>Loads on a server whose answers are known.</summary>
public class LoadRunTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public void Arrivals_are_a_poisson_process_and_the_same_with_the_same_seed()
    {
        const double Rate = 50;
        const int Count = 20_000;
        var load = new ServeLoad(1, 1) { Requests = Count, Seed = 7 };
        double[] times = [.. LoadRun.Arrivals(Rate, load)];
        Assert.Equal(times, LoadRun.Arrivals(Rate, load));
        Assert.NotEqual(times[1], LoadRun.Arrivals(Rate, load with { Seed = 8 }).ElementAt(1));
        double[] gaps = [.. times.Zip(times.Skip(1), (a, b) => b - a)];
        Assert.Equal((0, Count - 1), (times[0], gaps.Length));
        // Of an exponential distribution mean and deviation are alike, and 1/e of the gaps are longer than the mean; four deviations of each.
        double mean = gaps.Average(), within = 4 / Math.Sqrt(Count);
        Assert.InRange(mean * Rate, 1 - within, 1 + within);
        Assert.InRange(Math.Sqrt(gaps.Average(g => (g - mean) * (g - mean))) * Rate, 1 - 2 * within, 1 + 2 * within);
        Assert.InRange(gaps.Count(g => g > 1 / Rate) / (double)gaps.Length, Math.Exp(-1) - within, Math.Exp(-1) + within);
        Assert.All(LoadRun.Arrivals(Rate, load with { Seconds = 2 }), at => Assert.InRange(at, 0, 2));
    }

    [Fact]
    public async Task So_many_requests_are_under_way_and_each_counts()
    {
        using var server = new FakeServer(delay: 2);
        var run = await Run(server, new ServeLoad(20, 5) { Concurrency = 3, Requests = 12 });
        Assert.Equal(12, run.Calls.Count);
        Assert.Equal(3, server.MostAtOnce);
        var report = ServeReport.Of(run);
        Assert.Equal((12, 12, 20, 5, 0.5, 1), (report.Requests, report.Answered, report.PromptTokens, report.OutputTokens, report.CachedShare, report.TokensPerEvent));
        Assert.Empty(report.Errors);
        Assert.All(run.Calls, c => Assert.Equal((5, 4), (c.Pieces.Count, c.Gaps.Count())));
        Assert.Equal(60 / run.Seconds, report.TokensPerSecond, 1e-9);
        Assert.True(report.FirstToken!.P50 > 0 && report.FirstToken.P50 <= report.FirstToken.P99 && report.Whole!.P50 >= report.FirstToken.P50);
    }

    [Fact]
    public async Task Requests_leave_when_they_are_due_whatever_the_server_does()
    {
        using var server = new FakeServer(delay: 100);
        var run = await Run(server, new ServeLoad(5, 3) { Rate = 100, Requests = 10 });
        // An answer takes 300 ms; were they waited for, the last would leave 2.7 s after the first.
        Assert.All(run.Calls, c => Assert.InRange(c.Sent - c.Due, 0, 1));
        Assert.True(server.MostAtOnce >= 5, $"{server.MostAtOnce} at once");
        Assert.Equal(LoadRun.Arrivals(100, run.Load), run.Calls.Select(c => c.Due));
    }

    [Fact]
    public async Task Failures_are_told_by_kind_and_are_no_answers()
    {
        FakeAnswer[] kinds = [FakeAnswer.Busy, FakeAnswer.Page, FakeAnswer.Error, FakeAnswer.Broken, FakeAnswer.Unfinished, FakeAnswer.Whole, FakeAnswer.Busy];
        using var server = new FakeServer(request => kinds[request]);
        var report = ServeReport.Of(await Run(server, new ServeLoad(5, 4) { Requests = kinds.Length }));
        Assert.Equal(1, report.Answered);
        Assert.Equal(
            new Dictionary<string, int> { ["429 queue_full"] = 2, ["503"] = 1, ["error in the stream"] = 1, ["no finish reason"] = 1, ["stream broken off"] = 1 },
            report.Errors.OrderBy(e => e.Key, StringComparer.Ordinal).ToDictionary());
        Assert.Equal(4 / report.Seconds, report.TokensPerSecond, 1e-9);
    }

    [Fact]
    public async Task A_server_that_is_not_there_is_a_failure_of_each_request()
    {
        using var server = new FakeServer();
        using var target = new ServeTarget(server.Url, null, chat: false);
        await target.FindModelAsync("m", Cancel);
        var prompts = await PromptSource.CreateAsync(target, null, 5, 0, Cancel);
        server.Dispose();
        var run = await LoadRun.RunAsync(target, prompts, new ServeLoad(5, 4) { Requests = 2 }, null, Cancel);
        Assert.All(run.Calls, c => Assert.Equal("connection failed", c.Error));
    }

    [Fact]
    public async Task A_request_that_takes_too_long_is_given_up()
    {
        using var server = new FakeServer(delay: 200);
        var run = await Run(server, new ServeLoad(5, 50) { Requests = 1, TimeoutSeconds = 0.5 });
        Assert.Equal("timed out", run.Calls[0].Error);
    }

    [Fact]
    public async Task Prompts_have_their_length_share_a_beginning_and_differ_after_it()
    {
        using var server = new FakeServer();
        await Run(server, new ServeLoad(50, 1) { Requests = 6, SharedPrefix = 20, Prefixes = 2 });
        int[][] prompts = [.. server.Asked.Select(a => a.GetProperty("prompt").EnumerateArray().Select(id => id.GetInt32()).ToArray())];
        Assert.All(prompts, p => Assert.Equal(50, p.Length));
        Assert.Equal(2, prompts.Select(p => string.Join(' ', p[..20])).Distinct().Count());
        Assert.Equal(6, prompts.Select(p => string.Join(' ', p[20..])).Distinct().Count());
    }

    [Fact]
    public async Task Messages_are_text_and_fields_go_along()
    {
        using var server = new FakeServer();
        await Run(server, new ServeLoad(10, 2) { Requests = 1 }, chat: true, more: new JsonObject { ["drop"] = 0.25 });
        var asked = Assert.Single(server.Asked);
        Assert.Equal(10, asked.GetProperty("messages")[0].GetProperty("content").GetString()!.Split(' ').Length);
        Assert.Equal(0.25, asked.GetProperty("drop").GetDouble());
        Assert.Equal(("fake", true, 0), (asked.GetProperty("model").GetString(), asked.GetProperty("stream").GetBoolean(), asked.GetProperty("temperature").GetInt32()));
    }

    [Fact]
    public async Task Without_tokenize_lengths_are_characters()
    {
        using var server = new FakeServer(tokenizes: false);
        using var target = new ServeTarget($"{server.Url}/v1/", null, chat: false);
        await target.FindModelAsync(null, Cancel);
        var prompts = await PromptSource.CreateAsync(target, "some text", 30, 0, Cancel);
        Assert.False(prompts.ByTokens);
        var prompt = await prompts.TakeAsync(new ServeLoad(30, 1), 0, Cancel);
        Assert.Equal(30 * PromptSource.CharactersPerToken, prompt.Text!.Length);
    }

    [Fact]
    public async Task A_long_prompt_stands_beside_streams_that_are_under_way()
    {
        using var server = new FakeServer(delay: 2);
        using var target = new ServeTarget(server.Url, null, chat: false);
        await target.FindModelAsync(null, Cancel);
        var prompts = await PromptSource.CreateAsync(target, null, 500, 0, Cancel);
        var report = await LongPromptRun.RunAsync(target, prompts, new ServeLoad(10, 100_000) { Concurrency = 4 }, 500, null, Cancel);
        Assert.Equal((4, 500, null), (report.Streams, report.LongTokens, report.Error));
        Assert.Equal(5, server.Asked.Count);
        Assert.True(report.Before!.P50 > 0 && report.LongSeconds > 0);
        Assert.Empty(report.Broken);
        Assert.Contains(report.Gaps, g => g.At < 0);
        // Streams that end of themselves before it comes measure nothing.
        var e = await Assert.ThrowsAsync<InvalidOperationException>(() => LongPromptRun.RunAsync(target, prompts, new ServeLoad(10, 3), 500, null, Cancel));
        Assert.Contains("--output-tokens", e.Message);
    }

    private static async Task<LoadRun> Run(FakeServer server, ServeLoad load, bool chat = false, JsonObject? more = null)
    {
        using var target = new ServeTarget(server.Url, "key", chat);
        await target.FindModelAsync(null, Cancel);
        var prompts = await PromptSource.CreateAsync(target, null, load.PromptTokens, load.Seed, Cancel);
        return await LoadRun.RunAsync(target, prompts, load, more, Cancel);
    }
}
