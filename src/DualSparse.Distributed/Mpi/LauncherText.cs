using System.Text.RegularExpressions;

namespace DualSparse.Distributed.Mpi;

/// <summary>What launchers and MPI libraries say themselves, told from what ranks write: a user gets our sentence in its place.</summary>
internal sealed partial class LauncherText
{
    // When a rank has ended with an error, and at Ctrl-C.
    private static readonly string[] s_mpich =
    [
        "===================================================================================\n=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES",
        $"[mpiexec@{Environment.MachineName}] Sending Ctrl-C",
    ];

    /// <summary>With what a launcher's own text begins on standard output, after which nothing of the ranks comes.</summary>
    public static IReadOnlyList<string> Marks(MpiKind kind) => kind == MpiKind.Mpich ? s_mpich : [];

    private bool page;

    /// <summary>Whether the next line of standard error is theirs.</summary>
    public bool IsTheirs(string line)
    {
        // Open MPI's pages stand between two such rules.
        if (Rule().IsMatch(line))
        {
            page = !page;
            return true;
        }

        return page || Mark().IsMatch(line);
    }

    /// <summary>Whether a host can't be reached, or hasn't the library: MPICH's launcher then waits for ever.</summary>
    public static bool IsUnreachable(string line) => Unreachable().IsMatch(line);

    /// <summary>The rank that a line of Open MPI's says has ended, and its host; null: it says something else.</summary>
    public static (int Rank, string Host)? EndedRank(string line) =>
        RankEnded().Match(line) is { Success: true } ended && int.TryParse(ended.Groups[1].ValueSpan, out int rank) ? (rank, ended.Groups[2].Value) : null;

    /// <summary>The process that MPICH's last page says has ended, and its host; null: it says something else.</summary>
    public static (int Process, string Host)? EndedProcess(string page) =>
        ProcessEnded().Match(page) is { Success: true } ended && int.TryParse(ended.Groups[1].ValueSpan, out int process) ? (process, ended.Groups[2].Value) : null;

    [GeneratedRegex("^-{60,}$")]
    private static partial Regex Rule();

    // "[host:pid] …" of Open MPI, "[time] [host:pid:…] …" of UCX, "[mpiexec@host] …" and "[proxy:0:1@host] …" of MPICH, "[warn] …" of libevent
    // in both launchers, and lines of their own.
    [GeneratedRegex(@"^(\[[^\]\s]+:\d+[^\]]*\]|\[\d+\.\d+\]|\[(debug|msg|warn|err)\] |\[(mpiexec|proxy)\S*@|Abort\(|(mpirun|mpiexec|ORTE|PMIX|PRTE)\b)")]
    private static partial Regex Mark();

    [GeneratedRegex(@"process rank (\d+) with PID \d+ on node (\S+) exited")]
    private static partial Regex RankEnded();

    [GeneratedRegex(@"\bPID (\d+) RUNNING AT (\S+)")]
    private static partial Regex ProcessEnded();

    [GeneratedRegex(@"^\[mpiexec@|^ssh: |: Permission denied \(|^Host key verification failed|(hydra_pmi_proxy|orted|prted)\S*: (command )?not found|execvp error")]
    private static partial Regex Unreachable();
}
