using System.Diagnostics;

namespace DualSparse.Tests.Distributed;

/// <summary>Ranks on emulated hosts, one of which is cut off: nobody is told by the network.</summary>
public class CutCableTests
{
    private const int CannotRun = 77;

    [Theory]
    [InlineData("openmpi")]
    [InlineData("mpich")]
    public async Task Both_ends_of_a_cut_cable_end(string library)
    {
        MpiRun.Require($"mpirun.{library}");
        for (int i = 0; i < RunningRanks.Repetitions; i++)
        {
            // On to a long sleep: what is left of the hosts is seen before they end.
            string[] inside = ["sh", "-c", "\"$@\"; echo ended $?; exec sleep 100", "sh", .. RunningRanks.Writing("3"), "--hosts", "h0,h1", "--threads", "1"];
            using var hosts = MpiRun.Start(TestPaths.InRepository("tests", "emulated-hosts"), ["--library", library, "--delay", "1000", "--limit", "60", "--", .. inside]);
            using var ends = TestContext.Current.CancellationToken.Register(() => hosts.Kill(entireProcessTree: true));
            var errors = hosts.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            if (hosts.StandardOutput.Read() < 0)
            {
                await hosts.WaitForExitAsync(TestContext.Current.CancellationToken);
                if (hosts.ExitCode == CannotRun)
                    Assert.Skip((await errors).Trim());
                Assert.Fail(await errors);
            }

            Cut(MpiRun.FindRank(hosts.Id, 1) ?? throw new InvalidOperationException("rank 1 isn't there"));
            string? line;
            do
            {
                line = await hosts.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken);
            }
            while (line is not null && !line.Contains("ended ", StringComparison.Ordinal));

            // The rank at the far end finds by itself that it is alone.
            int? left = null;
            for (var late = Stopwatch.StartNew(); late.Elapsed.TotalSeconds < 10 && (left = MpiRun.FindRank(hosts.Id, 0) ?? MpiRun.FindRank(hosts.Id, 1)) is not null;)
                Thread.Sleep(50);
            RunningRanks.Signal("TERM", hosts.Id);
            await hosts.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.Null(left);
            Assert.EndsWith("ended 70", line);
            string sentence = Assert.Single((await errors).Split('\n', StringSplitOptions.RemoveEmptyEntries));
            Assert.Matches(@"^dualsparse: rank 0 \(h0\) has waited \d s for rank 1 \(h1\) in .*: it is lost or hangs$", sentence);
        }
    }

    private static void Cut(int processOfHost)
    {
        using var cut = Process.Start("nsenter", ["-n", "-t", $"{processOfHost}", "ip", "link", "set", "eth0", "down"]);
        cut.WaitForExit();
        Assert.Equal(0, cut.ExitCode);
    }
}
