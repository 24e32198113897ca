using System.Diagnostics;

namespace DualSparse.Cli.Commands;

/// <summary>Runs this program as ranks on emulated hosts, whose cables have a rate: by the repository's script tests/emulated-hosts.</summary>
internal static class EmulatedHosts
{
    // What the script ends with where something is missing.
    private const int Missing = 77;

    /// <summary>Runs a command on two hosts.</summary>
    /// <param name="megabits">The cables' rate, each way.</param>
    /// <param name="limit">Ends it.</param>
    /// <param name="arguments">The command's.</param>
    /// <param name="errors">Receives what it says meanwhile.</param>
    /// <returns>What it writes; or why there are no such hosts.</returns>
    /// <exception cref="InvalidOperationException">The command failed.</exception>
    public static (string? Output, string? Reason) Run(int megabits, TimeSpan limit, IEnumerable<string> arguments, TextWriter errors)
    {
        if (Script() is not { } script)
            return (null, "tests/emulated-hosts isn't above this program: run it from a clone");
        string[] all = ["--rate", $"{megabits}mbit", "--limit", $"{(int)limit.TotalSeconds}", "--ranks", "--", "dotnet", Path.Combine(AppContext.BaseDirectory, "dualsparse.dll"), .. arguments];
        using var process = Process.Start(new ProcessStartInfo(script, all) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        string last = "";
        process.ErrorDataReceived += (_, line) =>
        {
            if (line.Data is not { Length: > 0 } text)
                return;
            last = text;
            errors.WriteLine(text);
        };
        process.BeginErrorReadLine();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode switch
        {
            0 => (output, null),
            Missing => (null, last.Replace("emulated-hosts: ", "", StringComparison.Ordinal)),
            _ => throw new InvalidOperationException($"ranks on emulated hosts ended with exit code {process.ExitCode}: {last}"),
        };
    }

    // The program lies somewhere below the repository.
    private static string? Script()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string script = Path.Combine(folder.FullName, "tests", "emulated-hosts");
            if (File.Exists(script))
                return script;
        }

        return null;
    }
}
