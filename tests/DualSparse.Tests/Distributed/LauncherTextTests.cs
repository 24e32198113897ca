using System.Text;
using DualSparse.Distributed;
using DualSparse.Distributed.Mpi;

namespace DualSparse.Tests.Distributed;

/// <summary>What launchers say themselves, and what ranks write: told apart.</summary>
public class LauncherTextTests
{
    private static readonly string[] s_said =
    [
        "Read: -1", "[h0:123] writev failed: Broken pipe (32)", "[mpiexec@h0] control_cb: assert (!closed) failed", "[proxy:0:1@h1] HYD_pmcd: error",
        "[1764373920.123456] [h0:12 :0] parser.c:1911 UCX WARN unused", "Abort(70) on node 0", "[warn] Epoll MOD(1) on fd 24 failed. Old events were 6",
        "--------------------------------------------------------------------------",
        "mpirun noticed that process rank 1 exited", "a line of the page", "--------------------------------------------------------------------------", "[1, 2] are tokens",
    ];

    [Fact]
    public void Ranks_lines_pass_and_the_launchers_do_not()
    {
        var text = new LauncherText();
        Assert.Equal(["Read: -1", "[1, 2] are tokens"], s_said.Where(line => !text.IsTheirs(line)));
    }

    [Fact]
    public void The_first_sentence_is_the_one()
    {
        var user = new StringWriter();
        var errors = new RankErrors(user);
        foreach (string line in new[] { "a word of ssh's", RankErrors.Began, "a figure", "dualsparse: rank 0 has waited: it is lost or hangs", "dualsparse: another", "more" })
            errors.Take(line);
        Assert.Equal(["a word of ssh's", "a figure", "dualsparse: rank 0 has waited: it is lost or hangs"], user.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries));
        Assert.True(errors is { HaveMet: true, Said: true, Lost: true, GaveUp: false });
    }

    [Fact]
    public void What_comes_before_ranks_have_met_is_why_they_cannot()
    {
        var errors = new RankErrors(new StringWriter());
        errors.Take("ssh: connect to host h7 port 22: No route to host");
        Assert.True(errors is { HaveMet: false, GaveUp: true, Reason: "ssh: connect to host h7 port 22: No route to host" });
    }

    [Fact]
    public void A_rank_that_ended_first_is_named()
    {
        const string Page = "=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES\n=   PID 77 RUNNING AT h1\n=   EXIT CODE: 9";
        var openMpi = new RankErrors(new StringWriter());
        openMpi.Take($"{RankErrors.Began} 70 77");
        Assert.Null(openMpi.FirstEnded(""));
        openMpi.Take("mpirun noticed that process rank 1 with PID 0 on node h1 exited on signal 9 (Killed).");
        Assert.Equal("rank 1 (h1)", openMpi.FirstEnded(""));
        var mpich = new RankErrors(new StringWriter());
        mpich.Take($"{RankErrors.Began} 70 77");
        Assert.Equal("rank 1 (h1)", mpich.FirstEnded(Page));
        var several = new RankErrors(new StringWriter());
        several.Take($"{RankErrors.Began} 77 77");
        Assert.Null(several.FirstEnded(Page));
    }

    // Cut anywhere, and a mark that doesn't come after all.
    [Fact]
    public void Output_passes_up_to_a_mark()
    {
        const string Text = "a === b ==", Mark = "===\nBAD", Whole = Text + Mark + "\nmore";
        for (int cut = 0; cut <= Whole.Length; cut++)
        {
            using var found = new MemoryStream();
            var relay = new OutputRelay(found, [Mark, "never"]);
            relay.Write(Encoding.ASCII.GetBytes(Whole[..cut]));
            relay.Write(Encoding.ASCII.GetBytes(Whole[cut..]));
            relay.Finish();
            Assert.Equal(Text, Encoding.ASCII.GetString(found.ToArray()));
            Assert.Equal(Whole[Text.Length..], relay.Rest);
        }

        using var all = new MemoryStream();
        var other = new OutputRelay(all, [Mark]);
        other.Write("ends with ===\n"u8);
        Assert.Equal("ends with ", Encoding.ASCII.GetString(all.ToArray()));
        other.Finish();
        Assert.Equal("ends with ===\n", Encoding.ASCII.GetString(all.ToArray()));
    }
}
