using System.Net;
using DualSparse.Models;
using DualSparse.Server;
using Microsoft.Extensions.DependencyInjection;

namespace DualSparse.Tests.Server;

/// <summary>How a server begins and ends.</summary>
[Collection("server")]
public class StoppingTests(ServedMini mini)
{
    private const string Path = "/v1/completions";

    [Fact]
    public async Task C19_what_runs_is_finished_and_what_comes_is_sent_elsewhere()
    {
        await using var server = await TestServer.StartAsync(mini.Model);
        var chunks = server.ChunksAsync(Path, """{"prompt":"Once upon","max_tokens":200,"ignore_eos":true,"stream":true,"stream_options":{"include_usage":true}}""");
        await TestServer.UntilAsync(() => server.Scheduler.State.GeneratedTokens > 2);
        var stop = server.App.StopAsync();
        await TestServer.UntilAsync(() => server.Scheduler.State.Draining);
        // The port stays open until the last answer has ended.
        using (var health = await server.Client.GetAsync("/health"))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, health.StatusCode);
            Assert.Equal("draining", TestServer.Error(await health.Content.ReadAsStringAsync()).GetProperty("code").GetString());
        }

        Assert.NotNull((await server.PostAsync(Path, """{"prompt":"a"}""")).Headers.RetryAfter);
        Assert.Equal(200, (await chunks)[^1].GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        await stop;
    }

    [Fact]
    public async Task What_is_not_done_in_time_is_told_and_broken_off()
    {
        await using var server = await TestServer.StartAsync(mini.Model, options => options.DrainTimeout = TimeSpan.FromSeconds(0.05));
        using var response = await server.PostAsync(Path, """{"prompt":["a","b","c","d"],"max_tokens":500,"ignore_eos":true,"stream":true}""");
        List<string> events = [];
        var stop = server.App.StopAsync();
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await foreach (string data in TestServer.ReadAsync(response))
                events.Add(data);
        });
        Assert.Equal("draining", TestServer.Error(events[^1]).GetProperty("code").GetString());
        await stop;
    }

    [Fact]
    public async Task While_it_loads_it_says_so()
    {
        var loaded = new TaskCompletionSource();
        await using var server = await LoadingServer.StartAsync(_ =>
        {
            loaded.Task.Wait();
            return mini.Model;
        });
        using (var health = await server.Client.GetAsync("/health"))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, health.StatusCode);
            Assert.NotNull(health.Headers.RetryAfter);
            Assert.Equal("loading", TestServer.Error(await health.Content.ReadAsStringAsync()).GetProperty("code").GetString());
        }

        loaded.SetResult();
        await server.App.Services.GetRequiredService<ModelHost>().Loaded;
        Assert.Equal(HttpStatusCode.OK, (await server.Client.GetAsync("/health")).StatusCode);
    }

    [Fact]
    public async Task A_model_that_cannot_be_loaded_ends_the_server()
    {
        await using var server = await LoadingServer.StartAsync(_ => throw new ModelFormatException("there is no such model"));
        await TestServer.UntilAsync(() => server.App.Lifetime.ApplicationStopping.IsCancellationRequested);
        await Assert.ThrowsAsync<ModelFormatException>(() => server.App.Services.GetRequiredService<ModelHost>().Loaded);
    }
}
