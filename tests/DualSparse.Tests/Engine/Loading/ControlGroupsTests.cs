using DualSparse.Engine.Loading;

namespace DualSparse.Tests.Engine.Loading;

public sealed class ControlGroupsTests : IDisposable
{
    private const string Two = "/sys/fs/cgroup", One = "/sys/fs/cgroup/memory", Unified = "/sys/fs/cgroup/unified";
    private const string MountTwo = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 master:1 - cgroup2 cgroup2 rw,nsdelegate";
    private const string MountOne = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:15 - cgroup cgroup rw,memory";
    private const string Unlimited = "9223372036854771712";

    private readonly TemporaryFolder folder = new();

    [Fact]
    public void Version_2_in_the_mounts_root()
    {
        Process("0::/", "24 1 8:1 / / rw - ext4 /dev/root rw", MountTwo);
        GroupTwo("", max: "1000", current: 700);
        Assert.Equal(300, Free());
    }

    [Theory]
    [InlineData("5000", "1000", "max", 100)]
    [InlineData("max", "1000", "max", 100)]
    [InlineData("1000", "max", "max", 700)]
    [InlineData("1000", "5000", "5000", 700)]
    [InlineData("1000", "5000", "2000", 0)]
    [InlineData("max", "max", "2500", 100)]
    [InlineData("max", "max", "max", long.MaxValue)]
    public void Version_2_below_a_parent_takes_the_scarcest(string own, string parent, string top, long expected)
    {
        Process("0::/a/b c:d", MountTwo);
        GroupTwo("", top, current: 2400);
        GroupTwo("/a", parent, current: 900);
        GroupTwo("/a/b c:d", own, current: 300);
        GroupTwo("/other", "1", current: 1);
        Assert.Equal(expected, Free());
    }

    [Fact]
    public void Version_2_is_slowed_above_memory_high()
    {
        Process("0::/a", MountTwo);
        GroupTwo("/a", "1000", current: 700);
        Write($"{Two}/a/memory.high", "800\n");
        Assert.Equal(100, Free());
    }

    [Fact]
    public void Page_cache_counts_as_free_but_never_beyond_the_limit()
    {
        Process("0::/a", MountTwo);
        GroupTwo("/a", "1000", current: 700);
        Write($"{Two}/a/memory.stat", "anon 500\nfile 200\ninactive_anon 400\nactive_anon 100\ninactive_file 120\nactive_file 80\nunevictable 0\n");
        Assert.Equal(500, Free());
        // Two files are never of one moment.
        Write($"{Two}/a/memory.stat", "inactive_file 900\nactive_file 80\n");
        Assert.Equal(1000, Free());
        Write($"{Two}/a/memory.current", "9000\n");
        Assert.Equal(0, Free());
    }

    [Theory]
    [InlineData(Unlimited, "1000", 100)]
    [InlineData("500", "1000", 50)]
    [InlineData(Unlimited, Unlimited, null)]
    public void Version_1_below_a_parent_counts_descendants_cache(string own, string parent, int? expected)
    {
        Process(["5:cpu,cpuacct:/", "4:memory:/a/b", "1:name=systemd:/c"], "33 31 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct", MountOne);
        GroupOne("", Unlimited, usage: 5000);
        GroupOne("/a", parent, usage: 1000);
        Write($"{One}/a/memory.stat", "inactive_file 1\nactive_file 2\ntotal_inactive_file 60\ntotal_active_file 40\n");
        GroupOne("/a/b", own, usage: 450);
        if (expected is { } bytes)
            Assert.Equal(bytes, Free());
        else
            Assert.InRange(Free(), 1L << 62, long.MaxValue);
    }

    [Fact]
    public void A_hybrid_has_memory_in_version_1()
    {
        Process(["4:memory:/a", "0::/x/y"], "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755", MountOne, $"41 31 0:38 / {Unified} rw,relatime - cgroup2 cgroup2 rw");
        GroupOne("", Unlimited, usage: 5000);
        GroupOne("/a", "1000", usage: 600);
        Write($"{Unified}/x/y/cgroup.procs", "1\n");
        Assert.Equal(400, Free());
    }

    [Theory]
    // A namespace of its own, so that its group is the root.
    [InlineData("/", "/", "")]
    [InlineData("/", "/job", "/job")]
    // None: the group at the mount point is named as on the host.
    [InlineData("/docker/abc", "/docker/abc", "")]
    [InlineData("/docker/abc", "/docker/abc/job", "/job")]
    // Mounted before the namespace was made, or the process is elsewhere: names don't lead from one to the other.
    [InlineData("/../..", "/", "")]
    [InlineData("/..", "/../job", "/job")]
    [InlineData("/docker/abc", "/docker/abcd/job", "")]
    [InlineData("/", "/../job", "")]
    public void In_a_container(string root, string path, string below)
    {
        Process($"0::{path}", MountTwo.Replace(" / /sys", $" {root} /sys"));
        GroupTwo("/docker/abc", "1", current: 1);
        GroupTwo("/job", below == "/job" ? "1000" : "1", current: below == "/job" ? 900 : 1);
        GroupTwo("", "2000", current: 1500);
        Assert.Equal(below == "/job" ? 100 : 500, Free());
    }

    [Fact]
    public void Of_several_mounts_the_one_with_most_ancestors_counts()
    {
        Process("0::/a/b", "29 24 0:26 /a/b /inner rw - cgroup2 cgroup2 rw", MountTwo, "31 24 0:26 /z /elsewhere rw - cgroup2 cgroup2 rw");
        GroupTwo("/a", "1000", current: 700);
        GroupTwo("/a/b", "max", current: 700);
        Assert.Equal(300, Free());
    }

    [Fact]
    public void Odd_names_of_mount_points_are_octal()
    {
        Process("0::/a", @"30 24 0:26 / /c\040g\134x rw - cgroup2 cgroup2 rw");
        Write(@"/c g\x/a/memory.max", "1000\n");
        Write(@"/c g\x/a/memory.current", "400\n");
        Assert.Equal(600, Free());
    }

    [Fact]
    public void A_group_that_is_gone_leaves_its_parents()
    {
        Process("0::/a/b (deleted)", MountTwo);
        GroupTwo("/a", "1000", current: 700);
        Assert.Equal(300, Free());
    }

    [Fact]
    public void Missing_files_limit_nothing()
    {
        Assert.Equal(long.MaxValue, Free());
        Process("0::/a");
        Assert.Equal(long.MaxValue, Free());
        Process("0::/a", MountTwo);
        Assert.Equal(long.MaxValue, Free());
        Write($"{Two}/a/memory.max", "1000\n");
        Assert.Equal(long.MaxValue, Free());
        Write($"{Two}/a/memory.current", "400\n");
        Assert.Equal(600, Free());
    }

    [Theory]
    [InlineData("memory.max", "")]
    [InlineData("memory.max", "-5\n")]
    [InlineData("memory.max", "99999999999999999999999\n")]
    [InlineData("memory.max", "12\n34\n")]
    [InlineData("memory.max", "\0\u00ff\u0100")]
    [InlineData("memory.current", "many\n")]
    public void Garbage_in_a_group_limits_nothing(string file, string text)
    {
        Process("0::/a", MountTwo);
        GroupTwo("/a", "1000", current: 400);
        Assert.Equal(600, Free());
        Write($"{Two}/a/{file}", text);
        Assert.Equal(long.MaxValue, Free());
    }

    [Fact]
    public void Garbage_elsewhere_is_passed_over()
    {
        Process(["", ":", "::", "0:", "0::", "0::relative", "x:memory", "\0", "0::/a"], "", "-", "a b - cgroup2", "1 2 3 4 5 6 - cgroup2", "1 2 3 4 5 6 - ext4 x", MountTwo + " - ");
        GroupTwo("/a", "1000", current: 400);
        Write($"{Two}/a/memory.stat", "\ninactive_file\nactive_file lots\n\0 5\ninactive_file 100\n");
        Assert.Equal(700, Free());
    }

    public void Dispose() => folder.Dispose();

    private long Free() => ControlGroups.FreeBytes(folder.Path);

    private void Process(string group, params string[] mounts) => Process([group], mounts);

    private void Process(string[] groups, params string[] mounts)
    {
        Write("/proc/self/cgroup", string.Join('\n', groups) + "\n");
        Write("/proc/self/mountinfo", string.Join('\n', mounts) + "\n");
    }

    private void GroupTwo(string path, string max, long current)
    {
        Write($"{Two}{path}/memory.max", max + "\n");
        Write($"{Two}{path}/memory.high", "max\n");
        Write($"{Two}{path}/memory.current", $"{current}\n");
    }

    private void GroupOne(string path, string limit, long usage)
    {
        Write($"{One}{path}/memory.limit_in_bytes", limit + "\n");
        Write($"{One}{path}/memory.usage_in_bytes", $"{usage}\n");
    }

    private void Write(string path, string text)
    {
        string file = folder.Path + path;
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }
}
