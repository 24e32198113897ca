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

    [GeneratedRegex("^-{60,}$")]
    private static partial Regex Rule();

    // "[host:pid] …" of Open MPI, "[time] [host:pid:…] …" of UCX, "[mpiexec@host] …" and "[proxy:0:1@host] …" of MPICH, and lines of their own.
    [GeneratedRegex(@"^(\[[^\]\s]+:\d+[^\]]*\]|\[\d+\.\d+\]|\[(mpiexec|proxy)\S*@|Abort\(|(mpirun|mpiexec|ORTE|PMIX|PRTE)\b)")]
    private static partial Regex Mark();

    [GeneratedRegex(@"^\[mpiexec@|^ssh: |: Permission denied \(|^Host key verification failed|(hydra_pmi_proxy|orted|prted)\S*: (command )?not found|execvp error")]
    private static partial Regex Unreachable();
}
