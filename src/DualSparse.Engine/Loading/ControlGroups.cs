namespace DualSparse.Engine.Loading;

/// <summary>
/// The memory that Linux's control groups leave a process (cgroups(7), versions 2 and 1, also both at once). A limit on a group
/// holds for every group below it, so the process has what the scarcest has left, from its own group up to the mount's root.
/// </summary>
internal static class ControlGroups
{
    /// <summary>Bytes; <see cref="long.MaxValue"/> where no group sets a limit or none can be read.</summary>
    /// <param name="root">The prefix of every path that is read: empty, or a folder that holds proc and sys.</param>
    /// <param name="process">A process's folder in /proc.</param>
    public static long FreeBytes(string root = "", string process = "self") =>
        Folders(root, process).Select(group => group.Version.FreeBytes(group.Folder)).DefaultIfEmpty(long.MaxValue).Min();

    /// <summary>The process's groups that may limit its memory: by version, each followed by its ancestors up to the mount's root.</summary>
    internal static IEnumerable<(ControlGroupVersion Version, string Folder)> Folders(string root = "", string process = "self")
    {
        var mounts = SystemFile.Lines($"{root}/proc/{process}/mountinfo").Select(ControlGroupMount.Parse).OfType<ControlGroupMount>().ToList();
        foreach (string line in SystemFile.Lines($"{root}/proc/{process}/cgroup"))
        {
            // hierarchy:controllers:path; version 2 is hierarchy 0 and names no controllers. A path may contain colons.
            if (line.Split(':', 3) is not [var hierarchy, var controllers, ['/', ..] path])
                continue;
            var version = (hierarchy, controllers) == ("0", "") ? ControlGroupVersion.Two
                : controllers.Split(',').Contains("memory") ? ControlGroupVersion.One
                : null;
            if (version is null || mounts.Where(mount => mount.Version == version).ToList() is not [var first, ..] same)
                continue;
            // Of several mounts, the one that shows most ancestors. A container may see its own group as the mount's root, under a path
            // that only the host can follow: then that root alone counts.
            var mount = same.Where(mount => mount.Below(path) is not null).MaxBy(mount => mount.Below(path)!.Length) ?? first;
            string[] below = mount.Below(path) ?? [];
            for (int depth = below.Length; depth >= 0; depth--)
                yield return (version, string.Join('/', [root + mount.Point.TrimEnd('/'), .. below.AsSpan(0, depth)]));
        }
    }
}
