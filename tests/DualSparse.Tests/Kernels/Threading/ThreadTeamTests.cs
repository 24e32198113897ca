using System.Collections.Concurrent;
using System.Diagnostics;
using DualSparse.Kernels.Threading;

namespace DualSparse.Tests.Kernels.Threading;

public class ThreadTeamTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(8)]
    public void Each_item_runs_once_whatever_the_threads(int threads)
    {
        using var team = new ThreadTeam(threads);
        foreach (int items in (int[])[0, 1, 2, 3, 7, 64, 1000])
        {
            var counts = new int[items];
            team.For(items, (item, worker) =>
            {
                Assert.InRange(worker, 0, threads - 1);
                Interlocked.Increment(ref counts[item]);
            });
            Assert.All(counts, count => Assert.Equal(1, count));
        }
    }

    [Fact]
    public void No_loop_is_lost_over_many_short_ones()
    {
        using var team = new ThreadTeam(3);
        long sum = 0;
        for (int loop = 0; loop < 20_000; loop++)
        {
            int written = 0;
            team.For(1 + loop % 5, (item, _) => Interlocked.Add(ref written, item + 1));
            int items = 1 + loop % 5;
            Assert.Equal(items * (items + 1) / 2, written);
            sum += written;
        }

        Assert.Equal(20_000 / 5 * (1 + 3 + 6 + 10 + 15), sum);
    }

    [Fact]
    public void Sleeping_helpers_are_woken_every_time()
    {
        using var team = new ThreadTeam(2);
        for (int loop = 0; loop < 100; loop++)
        {
            // Long enough that the helper has stopped to spin, or is about to.
            Thread.Sleep(loop % 2);
            MeetAll(team, (_, _) => { });
        }
    }

    [Fact]
    public void A_worker_runs_one_item_at_a_time()
    {
        using var team = new ThreadTeam(4);
        var busy = new int[4];
        team.For(2000, (_, worker) =>
        {
            Assert.Equal(1, Interlocked.Increment(ref busy[worker]));
            Thread.SpinWait(20);
            Interlocked.Decrement(ref busy[worker]);
        });
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void An_exception_ends_the_loop_and_the_team_lives(int threads)
    {
        using var team = new ThreadTeam(threads);
        for (int i = 0; i < 20; i++)
        {
            var thrown = Assert.Throws<AggregateException>(() => team.For(50, (item, _) =>
            {
                if (item % 10 == 3)
                    throw new InvalidDataException("item");
            }));
            Assert.IsType<InvalidDataException>(thrown.InnerException);
            int count = 0;
            team.For(50, (_, _) => Interlocked.Increment(ref count));
            Assert.Equal(50, count);
        }
    }

    [Fact]
    public void Callers_from_several_threads_run_one_after_another()
    {
        using var team = new ThreadTeam(2);
        int running = 0;
        var callers = Enumerable.Range(0, 4).Select(_ => new Thread(() =>
        {
            for (int loop = 0; loop < 200; loop++)
            {
                var mine = new int[4];
                team.For(4, (item, _) =>
                {
                    Assert.InRange(Interlocked.Increment(ref running), 1, 2);
                    mine[item]++;
                    Interlocked.Decrement(ref running);
                });
                Assert.All(mine, count => Assert.Equal(1, count));
            }
        })).ToList();
        callers.ForEach(c => c.Start());
        callers.ForEach(c => c.Join());
        Assert.Equal(0, running);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_body_cannot_use_its_own_team(int threads)
    {
        using var team = new ThreadTeam(threads);
        var thrown = Assert.Throws<AggregateException>(() => team.For(2, (_, _) => team.For(2, (_, _) => { })));
        Assert.IsType<InvalidOperationException>(thrown.InnerException);
        thrown = Assert.Throws<AggregateException>(() => team.For(2, (_, _) => team.Dispose()));
        Assert.IsType<InvalidOperationException>(thrown.InnerException);
    }

    [Fact]
    public void Disposal_ends_the_helpers()
    {
        var threads = new ConcurrentBag<Thread>();
        var team = new ThreadTeam(3);
        MeetAll(team, (_, worker) =>
        {
            if (worker > 0)
                threads.Add(Thread.CurrentThread);
        });
        team.Dispose();
        team.Dispose();
        Assert.Equal(2, threads.Count);
        Assert.All(threads, thread => Assert.False(thread.IsAlive));
        Assert.Throws<ObjectDisposedException>(() => team.For(2, (_, _) => { }));
    }

    [Fact]
    public void Fewer_than_one_thread_is_refused() => Assert.Throws<ArgumentOutOfRangeException>(() => new ThreadTeam(0));

    [Fact]
    public void An_idle_team_costs_nothing()
    {
        if (!OperatingSystem.IsLinux() || !File.Exists("/proc/thread-self/schedstat"))
            Assert.Skip("a thread's own processor time is read from Linux's /proc/self/task");
        using var team = new ThreadTeam(4);
        var tasks = new ConcurrentBag<string>();
        MeetAll(team, (_, worker) =>
        {
            if (worker > 0)
                tasks.Add("/proc/" + new FileInfo("/proc/thread-self").LinkTarget + "/schedstat");
        });
        // These threads' own time, so that neither other tests nor a busy machine matter: a busy machine only makes them use less.
        var watch = Stopwatch.StartNew();
        long before = tasks.Sum(Nanoseconds);
        Thread.Sleep(1000);
        double share = (tasks.Sum(Nanoseconds) - before) / watch.Elapsed.TotalNanoseconds;
        Assert.Equal(3, tasks.Count);
        Assert.InRange(share, 0, 0.01);
    }

    private static long Nanoseconds(string path) => long.Parse(File.ReadAllText(path).Split(' ')[0]);

    // One item for each worker at the same time: none can end before all have begun.
    private static void MeetAll(ThreadTeam team, Action<int, int> body)
    {
        using var all = new Barrier(team.Size);
        team.For(team.Size, (item, worker) =>
        {
            Assert.True(all.SignalAndWait(TimeSpan.FromSeconds(60)), "a helper never came");
            body(item, worker);
        });
    }
}
