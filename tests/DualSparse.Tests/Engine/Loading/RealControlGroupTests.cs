using System.Diagnostics;
using DualSparse.Engine.Loading;

namespace DualSparse.Tests.Engine.Loading;

/// <summary>A control group of this machine, made for the test, with a process in a group below it.</summary>
public class RealControlGroupTests
{
    private const long LimitBytes = 256L << 20;

    [Fact]
    public void A_limit_above_a_process_counts()
    {
        var (version, top) = ControlGroups.Folders().LastOrDefault(group => File.Exists($"{group.Folder}/cgroup.procs") && HasMemory(group));
        if (version is null)
            Assert.Skip("no control groups that count memory are mounted here");
        string outer = $"{top}/dualsparse-test-{Guid.NewGuid():n}", inner = outer + "/inner";
        Process? member = null;
        try
        {
            try
            {
                Directory.CreateDirectory(outer);
                string limit = version == ControlGroupVersion.One ? "memory.limit_in_bytes" : "memory.max";
                if (!File.Exists($"{outer}/{limit}"))
                    Assert.Skip($"the groups below {top} aren't given memory control");
                File.WriteAllText($"{outer}/{limit}", $"{LimitBytes}");
                Directory.CreateDirectory(inner);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Assert.Skip($"no control group can be made here: {e.Message}");
            }

            // A shell that moves itself, says whether it could, and waits until its input ends.
            member = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", "echo $$ > \"$0\" && echo moved; read line", inner + "/cgroup.procs"])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            if (member.StandardOutput.ReadLine() != "moved")
                Assert.Skip($"no process can be moved to a control group here: {member.StandardError.ReadToEnd()}");
            // A shell takes a few MiB, kernel memory included.
            Assert.InRange(ControlGroups.FreeBytes(process: $"{member.Id}"), LimitBytes - (32L << 20), LimitBytes);
        }
        finally
        {
            member?.StandardInput.Close();
            member?.WaitForExit();
            member?.Dispose();
            Remove(inner);
            Remove(outer);
        }
    }

    private static bool HasMemory((ControlGroupVersion Version, string Folder) group) =>
        group.Version == ControlGroupVersion.One || SystemFile.Lines($"{group.Folder}/cgroup.controllers") is [var controllers] && controllers.Split(' ').Contains("memory");

    // A group is busy for a moment after its last process has ended.
    private static void Remove(string group)
    {
        Assert.True(SpinWait.SpinUntil(
            () =>
            {
                try
                {
                    if (Directory.Exists(group))
                        Directory.Delete(group);
                    return true;
                }
                catch (IOException)
                {
                    return false;
                }
            },
            TimeSpan.FromSeconds(10)));
    }
}
