using System.Diagnostics;
using System.Text.Json;

namespace DualSparse.Tests.Server.Sdk;

/// <summary>One of the JavaScript clients of tests/sdk, in a process that does one check after another.</summary>
internal sealed class NodeSdk : ISdk, IDisposable
{
    // Of any check; what takes longer hangs.
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private static readonly JsonSerializerOptions s_json = new(JsonSerializerDefaults.Web);
    private static readonly Lazy<string?> s_missing = new(Install);

    private readonly SemaphoreSlim turn = new(1);
    private readonly Process process;

    /// <summary>Starts it.</summary>
    /// <param name="name">openai, ai-sdk or langchain.</param>
    public NodeSdk(string name) => process = Process.Start(
        new ProcessStartInfo("node", ["client.mjs", name]) { WorkingDirectory = Folder, RedirectStandardInput = true, RedirectStandardOutput = true })!;

    /// <summary>Why they can't be run here; null: they can. Installs them where they aren't.</summary>
    public static string? Missing => s_missing.Value;

    private static string Folder => TestPaths.InRepository("tests", "sdk");

    public async Task<JsonElement> RunAsync(SdkCheck check, Func<Task> started, CancellationToken cancel)
    {
        await turn.WaitAsync(cancel);
        try
        {
            await process.StandardInput.WriteLineAsync(JsonSerializer.Serialize(check, s_json).AsMemory(), cancel);
            await process.StandardInput.FlushAsync(cancel);
            while (true)
            {
                string line = await process.StandardOutput.ReadLineAsync(cancel).AsTask().WaitAsync(s_limit, cancel) ?? throw new InvalidOperationException("the client has ended");
                var fact = JsonDocument.Parse(line).RootElement;
                if (!fact.TryGetProperty("started", out _))
                    return fact;
                await started();
            }
        }
        finally
        {
            turn.Release();
        }
    }

    public void Dispose()
    {
        if (!process.HasExited)
            process.Kill();
        process.Dispose();
    }

    // By the lock file, and so always the same versions.
    private static string? Install()
    {
        if (!Runs("node", "--version", 20))
            return "node 20 or later isn't here";
        string marker = Path.Combine(Folder, "node_modules", ".package-lock.json");
        if (File.Exists(marker) && File.GetLastWriteTimeUtc(marker) >= File.GetLastWriteTimeUtc(Path.Combine(Folder, "package-lock.json")))
            return null;
        if (!Runs("npm", "--version", 0))
            return "npm isn't here";
        using var npm = Process.Start(new ProcessStartInfo("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]) { WorkingDirectory = Folder, RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = npm.StandardError.ReadToEndAsync();
        npm.StandardOutput.ReadToEnd();
        npm.WaitForExit();
        if (npm.ExitCode != 0)
            return $"'npm ci' in tests/sdk failed: {errors.Result.Split('\n').FirstOrDefault(line => line.Contains("npm error", StringComparison.Ordinal))}";
        File.SetLastWriteTimeUtc(marker, DateTime.UtcNow);
        return null;
    }

    private static bool Runs(string program, string argument, int version)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, [argument]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            string said = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0 && int.Parse(said.Trim().TrimStart('v').Split('.')[0]) >= version;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}
