using System.Diagnostics;

namespace DualSparse.Benchmarks.FineTuning;

/// <summary>The program's own command line, as a user runs it.</summary>
internal static class ProgramRun
{
    /// <summary>The repository's root.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>Runs a command; what it says beside its output goes to standard error.</summary>
    /// <param name="arguments">The command and its options.</param>
    /// <returns>What it printed.</returns>
    /// <exception cref="InvalidOperationException">It failed.</exception>
    public static string Of(params IEnumerable<string> arguments)
    {
        string[] all = [.. arguments];
        Console.Error.WriteLine($"{DateTime.UtcNow:HH:mm:ss} dualsparse {string.Join(' ', all)}");
        var start = new ProcessStartInfo(Path.Combine(Root, OperatingSystem.IsWindows() ? "dualsparse.cmd" : "dualsparse"), all) { RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"'dualsparse {string.Join(' ', all)}' ended with {process.ExitCode}");
    }

    private static string FindRoot()
    {
        DirectoryInfo? root = new(AppContext.BaseDirectory);
        while (root is not null && !File.Exists(Path.Combine(root.FullName, "DualSparse.slnx")))
            root = root.Parent;
        return root?.FullName ?? throw new DirectoryNotFoundException($"no folder above {AppContext.BaseDirectory} has DualSparse.slnx");
    }
}
