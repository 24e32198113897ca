using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using DualSparse.Engine;
using DualSparse.Engine.Serving.Batching;
using DualSparse.Server;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace DualSparse.Tests.Server;

/// <summary>A server of a model that is loaded already, at a free port of this machine, and a client of it.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    // Nothing here takes as long: a test that hangs is to fail.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(120);

    private readonly WebApplication app;
    private FailureLog failures = null!;

    private TestServer(WebApplication app)
    {
        this.app = app;
        Client = new HttpClient { BaseAddress = new Uri(app.Urls.First()), Timeout = s_patience };
    }

    public HttpClient Client { get; }

    public WebApplication App => app;

    public Scheduler Scheduler => app.Services.GetRequiredService<ModelHost>().Known!.Scheduler;

    public static async Task<TestServer> StartAsync(MoeModel model, Action<ServerOptions>? configure = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        var failures = new FailureLog();
        builder.Logging.ClearProviders().AddProvider(failures);
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddDualSparse(model, options =>
        {
            options.Name = "mini";
            configure?.Invoke(options);
        });
        var app = builder.Build();
        app.MapDualSparse();
        await app.StartAsync();
        await app.Services.GetRequiredService<ModelHost>().Loaded;
        return new TestServer(app) { failures = failures };
    }

    /// <summary>Sends a body as it stands.</summary>
    public Task<HttpResponseMessage> PostAsync(string path, string json, CancellationToken cancel = default, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(json, Encoding.UTF8, "application/json") };
        foreach (var (name, value) in headers)
            request.Headers.Add(name, value);
        return Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel);
    }

    /// <summary>The answer to a request that succeeds.</summary>
    public async Task<JsonElement> AnswerAsync(string path, string json, params (string Name, string Value)[] headers)
    {
        using var response = await PostAsync(path, json, default, headers);
        string body = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == HttpStatusCode.OK, $"{body} {failures}");
        return JsonElement.Parse(body);
    }

    /// <summary>The error of a request that doesn't.</summary>
    public async Task<JsonElement> ErrorAsync(int status, string path, string json, params (string Name, string Value)[] headers)
    {
        using var response = await PostAsync(path, json, default, headers);
        string body = await response.Content.ReadAsStringAsync();
        Assert.True((int)response.StatusCode == status, $"{(int)response.StatusCode}: {body} {failures}");
        return Error(body);
    }

    /// <summary>An error's object, which has the four fields that clients read.</summary>
    public static JsonElement Error(string body)
    {
        var error = JsonElement.Parse(body).GetProperty("error");
        Assert.NotEmpty(error.GetProperty("message").GetString()!);
        Assert.NotEmpty(error.GetProperty("type").GetString()!);
        Assert.True(error.TryGetProperty("param", out _) && error.TryGetProperty("code", out _));
        return error;
    }

    /// <summary>The answer of a GET.</summary>
    public Task<JsonElement> GetAsync(string path) => Client.GetFromJsonAsync<JsonElement>(path);

    /// <summary>A stream's events to its end, <c>[DONE]</c> included.</summary>
    public async Task<List<string>> EventsAsync(string path, string json, params (string Name, string Value)[] headers)
    {
        using var response = await PostAsync(path, json, default, headers);
        Assert.Equal((HttpStatusCode.OK, "text/event-stream"), (response.StatusCode, response.Content.Headers.ContentType?.MediaType));
        List<string> events = [];
        await foreach (string data in ReadAsync(response))
            events.Add(data);
        return events;
    }

    /// <summary>A stream's events as they come.</summary>
    public static async IAsyncEnumerable<string> ReadAsync(HttpResponseMessage response)
    {
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        while (await reader.ReadLineAsync() is { } line)
        {
            if (line.Length == 0 || line[0] == ':')
                continue;
            Assert.StartsWith("data: ", line);
            yield return line[6..];
        }
    }

    /// <summary>The chunks of a stream without its last line, <c>[DONE]</c>.</summary>
    public async Task<List<JsonElement>> ChunksAsync(string path, string json, params (string Name, string Value)[] headers)
    {
        var events = await EventsAsync(path, json, headers);
        Assert.Equal("[DONE]", events[^1]);
        return [.. events[..^1].Select(e => JsonElement.Parse(e))];
    }

    /// <summary>A request that keeps the model busy: longer than the rest of a test.</summary>
    public async Task<HttpResponseMessage> BusyAsync(CancellationToken cancel = default)
    {
        var response = await PostAsync("/v1/completions", """{"prompt":"Once upon","max_tokens":500,"ignore_eos":true,"stream":true}""", cancel);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return response;
    }

    /// <summary>Waits for what is about to be.</summary>
    public static async Task UntilAsync(Func<bool> holds)
    {
        for (long end = Environment.TickCount64 + (long)s_patience.TotalMilliseconds; !holds();)
        {
            Assert.True(Environment.TickCount64 < end, "it took too long");
            await Task.Delay(5);
        }
    }

    // What the server's log says of failures that a client isn't told.
    private sealed class FailureLog : ILoggerProvider, ILogger
    {
        private readonly List<string> all = [];

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Error;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            lock (all)
                all.Add($"{formatter(state, exception)}: {exception}");
        }

        public override string ToString()
        {
            lock (all)
                return string.Join('\n', all);
        }

        public void Dispose()
        {
        }
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await app.StopAsync();
        await app.DisposeAsync();
    }
}
