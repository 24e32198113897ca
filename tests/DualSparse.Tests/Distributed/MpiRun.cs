using System.Diagnostics;
using System.Text;

namespace DualSparse.Tests.Distributed;

/// <summary>The program as ranks of a real launcher.</summary>
internal sealed record MpiRun(int Code, string Output, string Errors)
{
    /// <summary>The launchers that a machine may have; one is enough for users, each is to be tested.</summary>
    public static readonly string[] Launchers = ["mpirun.openmpi", "mpirun.mpich"];

    /// <summary>The program, for <c>dotnet</c>.</summary>
    public static string Program => Path.Combine(AppContext.BaseDirectory, "dualsparse.dll");

    /// <summary>The rank suite's program, for <c>dotnet</c>.</summary>
    public static string Suite => Path.Combine(AppContext.BaseDirectory, "DualSparse.RankSuite.dll");

    /// <summary>Runs commands as ranks; skips where the launcher isn't installed.</summary>
    /// <param name="launcher">One of <see cref="Launchers"/>.</param>
    /// <param name="ranks">Processes for each command line.</param>
    public static MpiRun Of(string launcher, params (int Ranks, string[] Arguments)[] ranks) =>
        Launch(launcher, [.. ranks.Select(r => (r.Ranks, (string[])["dotnet", Program, .. r.Arguments]))]);

    /// <summary>Runs cases of the rank suite as ranks; skips where the launcher isn't installed.</summary>
    /// <param name="launcher">One of <see cref="Launchers"/>.</param>
    /// <param name="ranks">Processes.</param>
    /// <param name="arguments">What the suite's program is told.</param>
    public static MpiRun OfSuite(string launcher, int ranks, string[] arguments) =>
        Launch(launcher, [(ranks, ["dotnet", Suite, .. arguments])]);

    /// <summary>Runs a command that starts its ranks itself.</summary>
    public static MpiRun Own(params string[] arguments) => Wait(StartOwn(arguments));

    /// <summary>Runs a shell's command that starts its ranks itself.</summary>
    public static MpiRun Shell(string command)
    {
        Require("mpirun");
        return Wait(Start("sh", ["-c", command]));
    }

    /// <summary>Starts a command that starts its ranks itself.</summary>
    public static Process StartOwn(params string[] arguments)
    {
        Require("mpirun");
        return Start("dotnet", [Program, .. arguments]);
    }

    /// <summary>Waits for its end.</summary>
    public static MpiRun Wait(Process process)
    {
        using (process)
        {
            var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return new MpiRun(process.ExitCode, output, errors.Result);
        }
    }

    /// <summary>The process of a rank below a process, found by its environment; null: it isn't there.</summary>
    public static int? FindRank(int above, int rank)
    {
        string[] names = [$"OMPI_COMM_WORLD_RANK={rank}", $"PMI_RANK={rank}"];
        foreach (int child in Descendants(above))
        {
            try
            {
                if (Encoding.UTF8.GetString(File.ReadAllBytes($"/proc/{child}/environ")).Split('\0').Any(names.Contains) && File.ReadAllText($"/proc/{child}/comm").StartsWith("dotnet", StringComparison.Ordinal))
                    return child;
            }
            catch (IOException)
            {
                // It has ended meanwhile.
            }
        }

        return null;
    }

    /// <summary>All processes below a process that are alive.</summary>
    public static IReadOnlyList<int> Descendants(int process)
    {
        List<int> found = [];
        foreach (string folder in Directory.EnumerateDirectories("/proc").Where(f => int.TryParse(Path.GetFileName(f), out _)))
        {
            try
            {
                // pid (name) state parent
                string stat = File.ReadAllText($"{folder}/stat");
                string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
                if (fields[0] != "Z" && int.Parse(fields[1]) == process)
                    found.Add(int.Parse(Path.GetFileName(folder)));
            }
            catch (IOException)
            {
                // It has ended meanwhile.
            }
        }

        return [.. found, .. found.SelectMany(Descendants)];
    }

    /// <summary>Skips the test where a launcher isn't installed.</summary>
    public static void Require(string launcher)
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("needs Linux's /proc and MPI");
        string[] folders = Environment.GetEnvironmentVariable("PATH")!.Split(':');
        if (!folders.Any(folder => File.Exists(Path.Combine(folder, launcher))))
            Assert.Skip($"needs {launcher} (Debian: apt-get install openmpi-bin mpich)");
    }

    /// <summary>Starts a program whose traffic stays on this machine.</summary>
    public static Process Start(string program, IEnumerable<string> arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, StandardOutputEncoding = Encoding.UTF8 };
        // What keeps a test's traffic on this machine, and lets root start ranks.
        foreach (string name in new[] { "OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM" })
            start.Environment[name] = "1";
        foreach (string name in new[] { "OMPI_MCA_oob_tcp_if_include", "OMPI_MCA_btl_tcp_if_include", "UCX_NET_DEVICES" })
            start.Environment[name] = "lo";
        start.Environment["UCX_WARN_UNUSED_ENV_VARS"] = "n";
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        return Process.Start(start)!;
    }

    private static MpiRun Launch(string launcher, (int Ranks, string[] Command)[] ranks)
    {
        Require(launcher);
        List<string> arguments = launcher.Contains("openmpi", StringComparison.Ordinal) ? ["-q", "--bind-to", "none", "--oversubscribe"] : [];
        foreach (var (count, command) in ranks)
            arguments.AddRange([.. arguments.Contains("-n") ? [":"] : Array.Empty<string>(), "-n", $"{count}", .. command]);
        return Wait(Start(launcher, arguments));
    }
}
