using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.RegularExpressions;

namespace DualSparse.Benchmarking.Serving;

/// <summary>A server that a measurement starts in a process of its own, and ends.</summary>
internal sealed partial class OwnServer : IDisposable
{
    // Lines of which the last is shown where it doesn't start.
    private const int KeptLines = 20;

    private readonly Process process;
    private readonly ConcurrentQueue<string> said = new();
    private readonly TaskCompletionSource<string> url = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private OwnServer(Process process)
    {
        this.process = process;
        process.OutputDataReceived += (_, line) => Hear(line.Data);
        process.ErrorDataReceived += (_, line) => Hear(line.Data);
        process.EnableRaisingEvents = true;
        process.Exited += (_, _) => url.TrySetException(new InvalidOperationException($"the server ended before it served: {said.LastOrDefault() ?? "it said nothing"}"));
    }

    /// <summary>Starts it and waits until it says where it serves.</summary>
    /// <param name="program">The program, for <c>dotnet</c>.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="cancel">Gives up waiting.</param>
    /// <exception cref="InvalidOperationException">It has ended; its last line is told.</exception>
    public static async Task<OwnServer> StartAsync(string program, IEnumerable<string> arguments, CancellationToken cancel)
    {
        var start = new ProcessStartInfo("dotnet", [program, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        var server = new OwnServer(new Process { StartInfo = start });
        try
        {
            server.process.Start();
            server.process.BeginOutputReadLine();
            server.process.BeginErrorReadLine();
            await server.url.Task.WaitAsync(cancel).ConfigureAwait(false);
            return server;
        }
        catch
        {
            server.Dispose();
            throw;
        }
    }

    /// <summary>Where it serves.</summary>
    public string Url => url.Task.Result;

    /// <summary>Processor time that it has taken, in seconds.</summary>
    public double CpuSeconds
    {
        get
        {
            process.Refresh();
            return process.HasExited ? 0 : process.TotalProcessorTime.TotalSeconds;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }
        catch (InvalidOperationException)
        {
            // It was never started, or has just ended.
        }

        process.Dispose();
    }

    private void Hear(string? line)
    {
        if (line is null)
            return;
        if (Address().Match(line) is { Success: true } address)
            url.TrySetResult(address.Value);
        said.Enqueue(line);
        if (said.Count > KeptLines)
            said.TryDequeue(out _);
    }

    [GeneratedRegex(@"https?://[\w.\[\]:-]+:\d+")]
    private static partial Regex Address();
}
