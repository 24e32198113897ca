using System.ComponentModel;
using System.Diagnostics;

namespace DualSparse.Distributed.Mpi;

/// <summary>An MPI library's own launcher, mpirun.</summary>
/// <param name="Program">Its name or path.</param>
/// <param name="Kind">Whose it is.</param>
internal sealed record MpiLauncher(string Program, MpiKind Kind)
{
    /// <summary>The environment variable that names the launcher to use.</summary>
    public const string Variable = "DUALSPARSE_MPIRUN";

    private static readonly string[] s_names = ["mpirun", "mpiexec", "mpirun.openmpi", "mpirun.mpich"];

    /// <summary>That of <see cref="Variable"/>, else the first on the path.</summary>
    /// <exception cref="MpiException">There is none, or its kind isn't known.</exception>
    public static MpiLauncher Find()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named)
            return Of(named) ?? throw new MpiException($"{Variable} is '{named}', expected Open MPI's or MPICH's mpirun, by its path or a name on the path");
        return s_names.Select(Of).FirstOrDefault(launcher => launcher is not null)
            ?? throw new MpiException($"there is no {s_names[0]} on the path: several ranks need Open MPI (Debian: openmpi-bin) or MPICH (mpich)");
    }

    /// <summary>What comes before the ranks' own command line.</summary>
    /// <param name="ranks">How many to start.</param>
    /// <param name="hosts">Where, in turn; empty: here.</param>
    /// <param name="export">A variable of ours that the ranks are to see, on other hosts too.</param>
    public IEnumerable<string> Arguments(int ranks, IReadOnlyList<string> hosts, string export)
    {
        // MPICH's gives the whole environment to every rank.
        if (Kind == MpiKind.Mpich)
            return ["-n", $"{ranks}", .. hosts.Count > 0 ? ["-hosts", string.Join(',', hosts)] : Array.Empty<string>()];
        // Not quiet: it says which rank has ended. Not bound to one core each, which is its way with two ranks. A cut cable is seen after 11 s.
        string[] flags =
        [
            "--bind-to", "none", "--oversubscribe", "-x", export, "-n", $"{ranks}", "--mca", "oob_tcp_keepalive_time", "5",
            "--mca", "oob_tcp_keepalive_intvl", "2", "--mca", "oob_tcp_keepalive_probes", "3",
        ];
        return hosts.Count > 0 ? [.. flags, "--host", string.Join(',', hosts.Select((host, i) => $"{host}:{(ranks - i + hosts.Count - 1) / hosts.Count}"))] : flags;
    }

    /// <summary>The signal that had ended a rank where it ended with this code; null: none. Open MPI's gives what a shell would, MPICH's the signal's number.</summary>
    public int? Signal(int code)
    {
        const int Shell = 128, Abort = 6, Bus = 7, Kill = 9, Segment = 11;
        int signal = Kind == MpiKind.OpenMpi ? code - Shell : code;
        return signal is Abort or Bus or Kill or Segment ? signal : null;
    }

    private static MpiLauncher? Of(string program)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, ["--version"]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            string version = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            // Under another name than mpirun Open MPI's calls itself OpenRTE.
            if (version.Contains("Open MPI", StringComparison.Ordinal) || version.Contains("OpenRTE", StringComparison.Ordinal))
                return new MpiLauncher(program, MpiKind.OpenMpi);
            return version.Contains("HYDRA", StringComparison.OrdinalIgnoreCase) || version.Contains("Intel(R) MPI", StringComparison.Ordinal)
                ? new MpiLauncher(program, MpiKind.Mpich)
                : null;
        }
        catch (Win32Exception)
        {
            return null;
        }
    }
}
