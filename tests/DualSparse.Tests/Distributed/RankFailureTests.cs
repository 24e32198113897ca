using System.Text;
using System.Text.RegularExpressions;
using DualSparse.Distributed.Mpi;

namespace DualSparse.Tests.Distributed;

/// <summary>
/// Whatever happens to a rank or the user does: one sentence, the exit code that docs/parallel.md has, an end, and no process left. Each failure under
/// each launcher where DUALSPARSE_REPEAT is set; else a cover of both.
/// </summary>
public class RankFailureTests
{
    private const string OpenMpi = "mpirun.openmpi", Mpich = "mpirun.mpich";

    // What this wrapper of dotnet does to one rank: a machine of its own, in which a file is another.
    private const string Wrapper = """
        #!/bin/sh
        if [ "${OMPI_COMM_WORLD_RANK:-$PMI_RANK}" = "$ODD_RANK" ] && [ -z "$ODD" ]; then
            ODD=1 exec unshare --mount sh -c 'mount --bind "$FOUND" "$EXPECTED" && exec dotnet "$@"' sh "$@"
        fi
        PATH=$OTHERS exec dotnet "$@"
        """;

    public static TheoryData<string, string, int> Signals => Cover(["KILL", "STOP"], [0, 1]);

    [Theory]
    [MemberData(nameof(Signals))]
    public void A_lost_rank_ends_the_others(string launcher, string signal, int rank)
    {
        for (int i = 0; i < RunningRanks.Repetitions; i++)
        {
            using var ranks = RunningRanks.Start(launcher, RunningRanks.Writing("3"));
            ranks.WaitForWork(i);
            RunningRanks.Signal(signal, ranks.Find(rank));
            string waited = $@"rank {1 - rank} \(\S+\) has waited \d s for rank {rank} \(\S+\) in .*: it is lost or hangs";
            RunningRanks.AssertSentence(ranks.End(), 70, signal == "STOP" ? waited : $@"({waited}|rank {rank} \(\S+\) was lost: signal 9 ended it)");
        }
    }

    public static TheoryData<string, string, int> Interrupts => Cover(["INT", "TERM"], [0, 1]);

    [Theory]
    [MemberData(nameof(Interrupts))]
    public void An_interrupt_ends_all_and_says_nothing(string launcher, string signal, int wholeGroup)
    {
        Assert.SkipWhen(signal == "INT" && RunningRanks.IgnoresInterrupts, "SIGINT is ignored here, as it is by what a shell has started in the background");
        for (int i = 0; i < RunningRanks.Repetitions; i++)
        {
            // A terminal's Ctrl-C goes to the whole group.
            using var ranks = RunningRanks.Start(launcher, ["setsid", .. RunningRanks.Writing("10")]);
            ranks.WaitForWork(i);
            RunningRanks.Signal(signal, wholeGroup == 1 ? -ranks.Id : ranks.Id);
            var ended = ranks.End();
            Assert.Equal(130, ended.Code);
            Assert.DoesNotMatch("(?i)dualsparse:|mpirun|mpiexec|ctrl", ended.Errors);
            Assert.DoesNotMatch("(?i)mpiexec|ctrl-c|BAD TERMINATION", ended.Output);
        }
    }

    [Theory]
    [InlineData(OpenMpi)]
    [InlineData(Mpich)]
    public void A_full_disk_under_the_output_is_said(string launcher)
    {
        for (int i = 0; i < RunningRanks.Repetitions; i++)
        {
            using var ranks = RunningRanks.Start(launcher, ["sh", "-c", "exec \"$@\" > /dev/full", "sh", .. RunningRanks.Writing("10")]);
            RunningRanks.AssertSentence(ranks.End(), 1, "No space left on device");
        }
    }

    public static TheoryData<string, string, int> Exceptions => Cover(["no memory to load", "no memory to go on"], [0, 1], ["damaged file"], [1]);

    // An exception in one rank, as a user meets it: that rank's disk has damaged the model, or its machine has no memory left.
    [Theory]
    [MemberData(nameof(Exceptions))]
    public void An_exception_in_one_rank_is_its_sentence(string launcher, string what, int rank)
    {
        if (OperatingSystem.IsWindows() || Environment.UserName != "root")
            Assert.Skip("a rank with files of its own needs root");
        const string Machine = "/proc/meminfo";
        using var folder = new TemporaryFolder();
        string wrapper = folder.File("dotnet"), found = folder.File("found"), path = Environment.GetEnvironmentVariable("PATH")!;
        File.WriteAllText(wrapper, Wrapper.ReplaceLineEndings("\n"));
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(wrapper, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        string weights = Path.Combine(TestPaths.Model, "model.safetensors"), memory = File.ReadAllText(Machine);
        string noMemory = Regex.Replace(memory, "MemAvailable: +[0-9]+", "MemAvailable: 10");
        bool damaged = what == "damaged file";
        for (int i = 0; i < RunningRanks.Repetitions; i++)
        {
            File.WriteAllBytes(found, damaged ? File.ReadAllBytes(weights)[..100_000] : Encoding.ASCII.GetBytes(what == "no memory to load" ? noMemory : memory));
            using var ranks = RunningRanks.Start(
                launcher, [.. RunningRanks.Writing("10"), "--placement", "slice"],
                ("PATH", $"{folder.Path}:{path}"), ("OTHERS", path), ("ODD_RANK", $"{rank}"), ("FOUND", found), ("EXPECTED", damaged ? weights : Machine));
            if (what == "no memory to go on")
            {
                ranks.WaitForWork(0);
                File.WriteAllText(found, noMemory);
            }

            RunningRanks.AssertSentence(ranks.End(), 1, (rank == 0 ? "" : $"rank {rank}: ") + (damaged ? ".*model.safetensors.*" : "[^:]* of memory, .* is free.*"));
        }
    }

    public static TheoryData<string, string, int> Bugs => Cover(["a bug in a pass"], [0, 1]);

    // Where the caller of the first rank catches it, the others are out of step: he is told so instead of waiting for them.
    [Theory]
    [MemberData(nameof(Bugs))]
    public void An_exception_inside_a_pass_ends_all(string launcher, string what, int rank)
    {
        for (int i = 0; i < RunningRanks.Repetitions; i++)
        {
            using var ranks = RunningRanks.Start(launcher, ["dotnet", MpiRun.Suite, "fault", TestPaths.Model, $"{rank}"]);
            var ended = ranks.End();
            RunningRanks.AssertSentence(ended, 1, $"{(rank == 0 ? "" : $"rank {rank}: ")}{what}.");
            string refused = $"InvalidOperationException: the ranks can't go on: a pass failed on the first of them, and the others are in the middle of it ({what}.)\n";
            Assert.Equal(rank == 0 ? $"NullReferenceException: {what}.\n{refused}{refused}" : "", ended.Output);
        }
    }

    [Theory]
    [InlineData(OpenMpi)]
    [InlineData(Mpich)]
    public void A_host_that_cannot_be_reached_is_said(string launcher)
    {
        using var ranks = RunningRanks.Start(launcher, [.. RunningRanks.Writing("10"), "--hosts", "no-such-host.invalid"]);
        RunningRanks.AssertSentence(ranks.End(), 1, $@"{launcher} couldn't start the ranks \(.+\)");
    }

    [Fact]
    public void A_launcher_that_is_none_is_said()
    {
        using var ranks = RunningRanks.Start(OpenMpi, RunningRanks.Writing("10"), (MpiLauncher.Variable, "/bin/true"));
        RunningRanks.AssertSentence(ranks.End(), 1, "DUALSPARSE_MPIRUN is '/bin/true', expected Open MPI's or MPICH's mpirun, by its path or a name on the path");
    }

    // All of them, or each failure with one library and one rank, in turn.
    private static TheoryData<string, string, int> Cover(string[] failures, int[] ranks, string[]? others = null, int[]? othersRanks = null)
    {
        bool whole = Environment.GetEnvironmentVariable("DUALSPARSE_REPEAT") is { Length: > 0 };
        var cases = new TheoryData<string, string, int>();
        (string Failure, int[] Ranks)[] all = [.. failures.Select(f => (f, ranks)), .. (others ?? []).Select(f => (f, othersRanks!))];
        string[] launchers = [OpenMpi, Mpich];
        for (int l = 0; l < launchers.Length; l++)
        {
            for (int f = 0; f < all.Length; f++)
            {
                var (failure, where) = all[f];
                foreach (int rank in where)
                {
                    // Where both ranks can, each library has one of them; else each failure has one library.
                    if (whole || (where.Length > 1 ? rank : 0) == (l + f) % 2)
                        cases.Add(launchers[l], failure, rank);
                }
            }
        }

        return cases;
    }
}
