using System.Diagnostics;
using DualSparse.Distributed.Mpi;
using DualSparse.Kernels;

namespace DualSparse.Tests.Distributed;

/// <summary>Ranks at work under our launcher, to which something is going to happen.</summary>
internal sealed class RunningRanks : IDisposable
{
    // Whatever happens is over sooner; what isn't hangs.
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(90);

    // Open MPI's launcher gives ranks a second.
    private static readonly TimeSpan s_lateness = TimeSpan.FromSeconds(5);

    private readonly Process process;
    private readonly Task<string> errors;
    private IReadOnlyList<int> all = [];

    /// <summary>Takes over what was started.</summary>
    public RunningRanks(Process process)
    {
        this.process = process;
        errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>Times that each failure happens: one, or as many as the environment variable DUALSPARSE_REPEAT says.</summary>
    public static int Repetitions => int.TryParse(Environment.GetEnvironmentVariable("DUALSPARSE_REPEAT"), out int times) ? times : 1;

    /// <summary>Whether this process, and so what it starts, was told to ignore SIGINT: "SigIgn:" and a bit for each signal.</summary>
    public static bool IgnoresInterrupts => File.Exists("/proc/self/status") && File.ReadLines("/proc/self/status").Any(line =>
        line.StartsWith("SigIgn:", StringComparison.Ordinal) && (Convert.ToUInt64(line[7..].Trim(), 16) & 1UL << (Interrupt - 1)) != 0);

    private const int Interrupt = 2;

    /// <summary>The process that was started.</summary>
    public int Id => process.Id;

    /// <summary>The command that most of them are: it writes for as long as its context has room, with a kernel that takes its time.</summary>
    public static string[] Writing(string patience) =>
        ["dotnet", MpiRun.Program, "generate", "Once upon a time", "-m", TestPaths.Model, "-n", "480", "--temperature", "1", "--seed", "1", "--ranks", "2", "--peer-timeout", patience, "--weights", "f32"];

    /// <summary>Starts a command under our launcher with one of MPI's, and skips where that isn't installed.</summary>
    public static RunningRanks Start(string launcher, IReadOnlyList<string> command, params (string Name, string Value)[] environment)
    {
        MpiRun.Require(launcher);
        return new RunningRanks(MpiRun.Start(command[0], command.Skip(1), [(MpiLauncher.Variable, launcher), (KernelTable.Variable, "scalar"), .. environment]));
    }

    /// <summary>Waits until rank 0 has written something, and some milliseconds that differ from one repetition to the next.</summary>
    public void WaitForWork(int repetition)
    {
        if (process.StandardOutput.Read() < 0)
            Assert.Fail($"nothing was written: {errors.Result}");
        Thread.Sleep(repetition * 37 % 300);
        all = MpiRun.Descendants(process.Id);
    }

    /// <summary>The process of a rank.</summary>
    public int Find(int rank) => MpiRun.FindRank(process.Id, rank) ?? throw new InvalidOperationException($"rank {rank} isn't there");

    /// <summary>Sends a signal to a process, or by a negative number to its group.</summary>
    public static void Signal(string name, int target)
    {
        using var kill = Process.Start("kill", [$"-{name}", "--", $"{target}"]);
        kill.WaitForExit();
        Assert.Equal(0, kill.ExitCode);
    }

    /// <summary>Waits for the end, of all of them.</summary>
    /// <returns>The exit code, and what was said.</returns>
    public MpiRun End()
    {
        if (all.Count == 0)
            all = MpiRun.Descendants(process.Id);
        var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        Assert.True(process.WaitForExit(s_limit), $"it hasn't ended within {s_limit.TotalSeconds} s");
        var ended = new MpiRun(process.ExitCode, output.Result, errors.Result);
        int[] left = [];
        for (var late = Stopwatch.StartNew(); late.Elapsed < s_lateness && (left = [.. all.Where(Lives)]).Length > 0;)
            Thread.Sleep(50);
        Assert.True(left.Length == 0, $"{string.Join(", ", left)} are left; {ended.Errors}");
        return ended;
    }

    /// <summary>Asserts that a sentence of ours is all that was said, and a code.</summary>
    public static void AssertSentence(MpiRun ended, int code, string pattern)
    {
        Assert.True(ended.Code == code, $"{ended.Code}: {ended.Errors}");
        string line = Assert.Single(ended.Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Matches($"^dualsparse: {pattern}$", line);
        Assert.DoesNotMatch("BAD TERMINATION|mpiexec", ended.Output);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!process.HasExited)
            process.Kill(entireProcessTree: true);
        process.Dispose();
    }

    private static bool Lives(int id)
    {
        try
        {
            string stat = File.ReadAllText($"/proc/{id}/stat");
            return stat[stat.LastIndexOf(')') + 2] != 'Z';
        }
        catch (IOException)
        {
            return false;
        }
    }
}
