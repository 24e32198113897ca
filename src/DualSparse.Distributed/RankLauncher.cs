using System.Diagnostics;
using DualSparse.Distributed.Mpi;

namespace DualSparse.Distributed;

/// <summary>
/// Starts this program several times by MPI's own launcher, and sees to it that all of them end: a launcher can hang where a rank is lost.
/// </summary>
internal static class RankLauncher
{
    /// <summary>The exit code where the user interrupted: what shells give a program that SIGINT ended.</summary>
    public const int Interrupted = 130;

    // What MPICH's launcher prints to standard output when a rank ends with an error.
    private const string MpichBanner = "===================================================================================";

    // And to standard error, where the rank has said why.
    private const string MpichAbort = "Abort(";

    // From a rank's sentence, or an interrupt, until what is left is killed.
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    private static readonly string[] s_names = ["mpirun", "mpiexec", "mpirun.openmpi", "mpirun.mpich"];

    /// <summary>Runs a program as ranks to their end.</summary>
    /// <param name="command">The program and its arguments.</param>
    /// <param name="ranks">How many.</param>
    /// <param name="hosts">Where, in turn; empty: here.</param>
    /// <param name="errors">Receives the ranks' standard error, line by line.</param>
    /// <param name="output">Receives what rank 0 prints.</param>
    /// <param name="cancel">Ends them.</param>
    /// <returns>The exit code: a rank's own, 70 where one was lost, 130 where they were interrupted.</returns>
    /// <exception cref="MpiException">There is no launcher, or it can't be started.</exception>
    public static int Run(IReadOnlyList<string> command, int ranks, IReadOnlyList<string> hosts, Stream output, TextWriter errors, CancellationToken cancel)
    {
        var (launcher, kind) = Find();
        var start = new ProcessStartInfo(launcher) { RedirectStandardError = true, RedirectStandardOutput = true };
        foreach (string argument in Arguments(kind, ranks, hosts).Concat(command))
            start.ArgumentList.Add(argument);
        // A launcher's own terminal isn't one for the ranks: they would draw into it.
        start.Environment["TERM"] = "dumb";
        start.Environment["OMPI_ALLOW_RUN_AS_ROOT"] = start.Environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1";
        using var process = Process.Start(start) ?? throw new MpiException($"{launcher} can't be started");
        using var end = new CancellationTokenSource();
        bool said = false, lost = false;
        process.ErrorDataReceived += (_, e) =>
        {
            if (string.IsNullOrWhiteSpace(e.Data) || e.Data.StartsWith(MpichAbort, StringComparison.Ordinal))
                return;
            errors.WriteLine(e.Data);
            if (e.Data.StartsWith("dualsparse: ", StringComparison.Ordinal))
            {
                said = true;
                lost |= e.Data.EndsWith(PeerLostException.End, StringComparison.Ordinal);
                end.CancelAfter(Grace);
            }
        };
        process.BeginErrorReadLine();
        using var interrupted = cancel.Register(() => end.CancelAfter(Grace));
        using var kill = end.Token.Register(() => Kill(process));
        Relay(process.StandardOutput.BaseStream, output);
        process.WaitForExit();
        if (cancel.IsCancellationRequested)
            return Interrupted;
        // What the launcher ends with depends on which rank it saw end first.
        if (lost)
            return PeerLostException.ExitCode;
        if (said)
            return process.ExitCode is > 0 and < 128 ? process.ExitCode : 1;
        if (process.ExitCode is 0 or 1)
            return process.ExitCode;
        errors.WriteLine($"dualsparse: a rank was lost: {Path.GetFileName(launcher)} ended with {process.ExitCode}");
        return PeerLostException.ExitCode;
    }

    private static IEnumerable<string> Arguments(MpiKind kind, int ranks, IReadOnlyList<string> hosts)
    {
        if (kind == MpiKind.Mpich)
            return ["-n", $"{ranks}", .. hosts.Count > 0 ? ["-hosts", string.Join(',', hosts)] : Array.Empty<string>()];
        // Quiet; not bound to one core each, which is its way with two ranks; a cut cable is seen after 11 s.
        string[] flags =
        [
            "-q", "--bind-to", "none", "--oversubscribe", "-n", $"{ranks}", "--mca", "oob_tcp_keepalive_time", "5", "--mca", "oob_tcp_keepalive_intvl", "2",
            "--mca", "oob_tcp_keepalive_probes", "3",
        ];
        return hosts.Count > 0 ? [.. flags, "--host", string.Join(',', hosts.Select((host, i) => $"{host}:{(ranks - i + hosts.Count - 1) / hosts.Count}"))] : flags;
    }

    private static (string Path, MpiKind Kind) Find()
    {
        foreach (string name in s_names)
        {
            try
            {
                using var process = Process.Start(new ProcessStartInfo(name, ["--version"]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
                string version = process.StandardOutput.ReadToEnd();
                process.WaitForExit();
                if (version.Contains("Open MPI", StringComparison.Ordinal))
                    return (name, MpiKind.OpenMpi);
                if (version.Contains("HYDRA", StringComparison.OrdinalIgnoreCase) || version.Contains("Intel(R) MPI", StringComparison.Ordinal))
                    return (name, MpiKind.Mpich);
            }
            catch (System.ComponentModel.Win32Exception)
            {
                // No such program: the next.
            }
        }

        throw new MpiException($"there is no {s_names[0]} on the path: several ranks need Open MPI (Debian: openmpi-bin) or MPICH (mpich)");
    }

    // As it comes, to the banner.
    private static void Relay(Stream from, Stream to)
    {
        byte[] buffer = new byte[64 << 10];
        byte[] banner = System.Text.Encoding.ASCII.GetBytes(MpichBanner);
        bool over = false;
        for (int read; (read = from.Read(buffer)) > 0;)
        {
            int at = buffer.AsSpan(0, read).IndexOf(banner);
            if (!over)
                to.Write(buffer, 0, at < 0 ? read : at);
            over |= at >= 0;
            to.Flush();
        }
    }

    private static void Kill(Process process)
    {
        try
        {
            process.Kill(entireProcessTree: true);
        }
        catch (InvalidOperationException)
        {
            // It has ended by itself.
        }
    }
}
