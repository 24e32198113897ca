using System.Text.RegularExpressions;

namespace DualSparse.Engine.Loading;

/// <summary>Where a hierarchy of control groups that counts memory is mounted.</summary>
/// <param name="Version">Its version.</param>
/// <param name="Root">The group mounted at <paramref name="Point"/>, a path as in /proc/self/cgroup.</param>
/// <param name="Point">The folder.</param>
internal sealed partial record ControlGroupMount(ControlGroupVersion Version, string Root, string Point)
{
    /// <summary>Reads a line of /proc/self/mountinfo (proc_pid_mountinfo(5)); null if it is another mount.</summary>
    public static ControlGroupMount? Parse(string line)
    {
        // id, parent, device, root, point, options, optional fields, "-", type, source, the file system's options.
        string[] words = line.Split(' ');
        if (Array.IndexOf(words, "-", Math.Min(6, words.Length)) is var dash && (dash < 0 || words.Length < dash + 4))
            return null;
        var version = words[dash + 1] switch
        {
            "cgroup2" => ControlGroupVersion.Two,
            "cgroup" when words[dash + 3].Split(',').Contains("memory") => ControlGroupVersion.One,
            _ => null,
        };
        return version is null ? null : new ControlGroupMount(version, Unescape(words[3]), Unescape(words[4]));
    }

    /// <summary>The names that lead from <see cref="Root"/> down to a group; null if it isn't below.</summary>
    public string[]? Below(string path)
    {
        string[] root = Names(Root), names = Names(path);
        // Outside a namespace's root paths go up ("/.."): such a group has no name here.
        return names.AsSpan().StartsWith(root) && !names.AsSpan(root.Length).Contains("..") ? names[root.Length..] : null;
    }

    private static string[] Names(string path) => path.Split('/', StringSplitOptions.RemoveEmptyEntries);

    // Spaces and the like are written as three octal digits.
    private static string Unescape(string path) =>
        Octal().Replace(path, match => ((char)Convert.ToInt32(match.Groups[1].Value, 8)).ToString());

    [GeneratedRegex(@"\\([0-3][0-7]{2})")]
    private static partial Regex Octal();
}
