using System.Diagnostics;
using System.Globalization;

namespace DualSparse.Tests.Server.Soak;

/// <summary>
/// Many clients at once, for as long as <see cref="Variable"/> says: nothing is lost, nothing is wrong, nothing is kept. A usual run takes
/// some seconds.
/// </summary>
[Collection("alone")]
public class SoakTests
{
    /// <summary>The environment variable with the seconds of load.</summary>
    public const string Variable = "DUALSPARSE_SOAK_SECONDS";

    // Of a usual run, and of one with DUALSPARSE_SLOW.
    private const double UsualSeconds = 8, SlowSeconds = 120;

    private const int Clients = 24;

    // What cancelled requests held is free within a second. Where other tests run beside, on a machine with too few cores, it is only seen that
    // it becomes free at all.
    private static readonly TimeSpan s_freed = Long ? TimeSpan.FromSeconds(1) : TimeSpan.FromSeconds(20);

    private static readonly TimeSpan s_hangs = TimeSpan.FromSeconds(60);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Nothing_is_lost_wrong_or_kept()
    {
        var answers = SoakAnswers.Compute();
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(folder.File("plain.jinja"), SoakAnswers.Template, Cancel);
        using var server = RunningServer.Start(TestPaths.Model, "--chat-template", folder.File("plain.jinja"), "--drain-timeout", "60", "--max-running", $"{Clients}");
        await LeaveTogether(server, answers);

        var clients = Enumerable.Range(0, Clients).Select(seed => new SoakClient(server, answers, seed)).ToArray();
        var begin = DateTime.UtcNow;
        var end = begin.AddSeconds(Seconds);
        var running = Task.WhenAll(clients.Select(c => Task.Run(() => c.RunAsync(end, Cancel))));
        // A third is enough for every path to have run once, and for pools to have their size.
        await Task.WhenAny(running, Task.Delay((end - begin) / 3, Cancel));
        long before = server.Memory;
        await running;
        long after = server.Memory;

        var wrong = clients.SelectMany(c => c.Wrong).ToArray();
        Assert.True(wrong.Length == 0, $"{wrong.Length} went wrong: {string.Join('\n', wrong.Take(5))}\n{server.Said}");
        // Every kind has happened.
        string[] kinds = [.. clients.SelectMany(c => c.Done.Keys).Distinct().Order()];
        Assert.Equal(["AskAsync", "AskTooMuchAsync", "HangUpAsync", "InsultAsync", "LeaveAsync"], kinds);
        await AssertFree(server);
        // A collection that has yet to come is no leak; a leak grows with the run.
        Assert.True(after < before * 1.25 + (64 << 20), $"memory {before >> 20} MiB after a third, {after >> 20} MiB at the end");
        await Drain(server, answers);
        TestContext.Current.TestOutputHelper?.WriteLine($"{clients.Sum(c => c.Done.Values.Sum())} requests in {Seconds} s: {string.Join(", ", kinds.Select(k => $"{k} {clients.Sum(c => c.Done.GetValueOrDefault(k))}"))}; memory {before >> 20} to {after >> 20} MiB");
    }

    private static double Seconds => Given ?? (SlowTests.Run ? SlowSeconds : UsualSeconds);

    private static double? Given => double.TryParse(Environment.GetEnvironmentVariable(Variable), NumberStyles.Float, CultureInfo.InvariantCulture, out double given) ? given : null;

    // Asked for, and so alone on its machine.
    private static bool Long => Seconds > UsualSeconds;

    // All write at once, and all leave at once.
    private static async Task LeaveTogether(RunningServer server, IReadOnlyList<SoakAnswer> answers)
    {
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var begun = Enumerable.Range(0, Clients).Select(_ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).ToArray();
        var asking = begun.Select((b, i) => new SoakClient(server, answers, i).AskAsync(answers[i] with { Tokens = 400 }, b, leave.Token)).ToArray();
        await Task.WhenAll(begun.Select((b, i) => Task.WhenAny(b.Task, asking[i])));
        Assert.True(await server.MetricAsync("dualsparse_pages_used", Cancel) - await server.MetricAsync("dualsparse_pages_kept", Cancel) > 0);
        await leave.CancelAsync();
        await AssertFree(server);
        await Task.WhenAll(asking.Select(a => a.ContinueWith(_ => { }, TaskScheduler.Default)));
    }

    // Pages of texts that run; those kept for texts to come are nobody's.
    private static async Task AssertFree(RunningServer server)
    {
        var passed = Stopwatch.StartNew();
        while (await server.MetricAsync("dualsparse_running", Cancel) is not 0 || await server.MetricAsync("dualsparse_pages_used", Cancel) != await server.MetricAsync("dualsparse_pages_kept", Cancel))
        {
            if (passed.Elapsed > s_hangs)
                Assert.Fail($"{await server.MetricAsync("dualsparse_running", Cancel)} texts run, {await server.MetricAsync("dualsparse_pages_used", Cancel)} pages are used and {await server.MetricAsync("dualsparse_pages_kept", Cancel)} of them kept, a minute after the last request");
            await Task.Delay(20, Cancel);
        }

        Assert.True(passed.Elapsed < s_freed, $"pages were held for {passed.Elapsed.TotalSeconds:0.00} s");
    }

    // What runs is finished, what comes is refused, and the server ends.
    private static async Task Drain(RunningServer server, IReadOnlyList<SoakAnswer> answers)
    {
        var whole = answers.Where(a => a.Tokens == 40).Take(8).ToArray();
        var begun = whole.Select(_ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).ToArray();
        var asking = whole.Select((answer, i) => new SoakClient(server, answers, i).AskAsync(answer, begun[i], Cancel)).ToArray();
        await Task.WhenAll(begun.Select((b, i) => Task.WhenAny(b.Task, asking[i])));
        server.Signal("TERM");
        await Task.WhenAll(asking);
        Assert.Equal(0, server.WaitForEnd(TimeSpan.FromSeconds(30)));
    }
}
