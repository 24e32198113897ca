using System.Diagnostics;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using DualSparse.Tests.Distributed;

namespace DualSparse.Tests.Server;

/// <summary><c>dualsparse serve</c> in a process of its own, on a free port.</summary>
internal sealed partial class RunningServer : IDisposable
{
    // A model of a few megabytes is there in a second; on a busy machine in some.
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private readonly Process process;
    private readonly StringBuilder said = new();

    private RunningServer(Process process) => this.process = process;

    /// <summary>Its address, without a path.</summary>
    public string Url { get; private set; } = "";

    /// <summary>Its address as OpenAI's clients want it.</summary>
    public string Base => $"{Url}/v1";

    /// <summary>Asks it.</summary>
    public HttpClient Http { get; } = new(new SocketsHttpHandler { UseProxy = false }) { Timeout = TimeSpan.FromMinutes(2) };

    /// <summary>Its process.</summary>
    public int Id => process.Id;

    /// <summary>Bytes of memory that it holds.</summary>
    public long Memory
    {
        get
        {
            process.Refresh();
            return process.WorkingSet64;
        }
    }

    /// <summary>Starts one and waits until it serves.</summary>
    /// <param name="folder">The model.</param>
    /// <param name="arguments">Further arguments of <c>serve</c>.</param>
    public static RunningServer Start(string folder, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [MpiRun.Program, "serve", folder, "--port", "0", .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        var server = new RunningServer(Process.Start(start)!);
        var address = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        server.process.OutputDataReceived += (_, line) => Hear(line.Data);
        server.process.ErrorDataReceived += (_, line) => Hear(line.Data);
        server.process.BeginOutputReadLine();
        server.process.BeginErrorReadLine();
        if (Task.WaitAny([address.Task], s_limit) < 0)
        {
            string told = server.Said;
            server.Dispose();
            Assert.Fail($"it didn't serve within {s_limit.TotalSeconds} s: {told}");
        }

        server.Url = address.Task.Result;
        return server;

        void Hear(string? line)
        {
            lock (server.said)
                server.said.AppendLine(line);
            if (line is not null && Address().Match(line) is { Success: true } found)
                address.TrySetResult(found.Value);
        }
    }

    /// <summary>What it has said so far.</summary>
    public string Said
    {
        get
        {
            lock (said)
                return said.ToString();
        }
    }

    /// <summary>Posts JSON.</summary>
    public Task<HttpResponseMessage> PostAsync(string path, object body, CancellationToken cancel) => Http.PostAsJsonAsync(Url + path, body, cancel);

    /// <summary>Posts JSON and reads the answer.</summary>
    public async Task<JsonElement> AskAsync(string path, object body, CancellationToken cancel)
    {
        using var answer = await PostAsync(path, body, cancel);
        string text = await answer.Content.ReadAsStringAsync(cancel);
        Assert.True(answer.IsSuccessStatusCode, text);
        return JsonDocument.Parse(text).RootElement;
    }

    /// <summary>A figure of /metrics, summed over its labels; null: it isn't there.</summary>
    public async Task<double?> MetricAsync(string name, CancellationToken cancel)
    {
        string text = await Http.GetStringAsync($"{Url}/metrics", cancel);
        double[] values = [.. text.Split('\n').Where(line => line.StartsWith(name, StringComparison.Ordinal) && line.Length > name.Length && line[name.Length] is ' ' or '{')
            .Select(line => double.Parse(line[(line.IndexOf('}', StringComparison.Ordinal) + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[line.Contains('}', StringComparison.Ordinal) ? 0 : 1]))];
        return values.Length == 0 ? null : values.Sum();
    }

    /// <summary>Waits until nothing runs or waits.</summary>
    /// <returns>Whether that came within a time.</returns>
    public async Task<bool> IdleAsync(TimeSpan within, CancellationToken cancel)
    {
        for (var passed = Stopwatch.StartNew(); passed.Elapsed < within; await Task.Delay(20, cancel))
        {
            var health = await Http.GetFromJsonAsync<JsonElement>($"{Url}/health", cancel);
            if (health.GetProperty("running").GetInt32() == 0 && health.GetProperty("waiting").GetInt32() == 0)
                return true;
        }

        return false;
    }

    /// <summary>Sends it a signal.</summary>
    public void Signal(string name) => RunningRanks.Signal(name, process.Id);

    /// <summary>Waits for its end.</summary>
    /// <returns>Its exit code; null: it hasn't ended within a time.</returns>
    public int? WaitForEnd(TimeSpan within) => process.WaitForExit(within) ? process.ExitCode : null;

    /// <inheritdoc/>
    public void Dispose()
    {
        Http.Dispose();
        if (!process.HasExited)
            process.Kill(entireProcessTree: true);
        process.Dispose();
    }

    [GeneratedRegex(@"http://127\.0\.0\.1:\d+")]
    private static partial Regex Address();
}
