using System.Diagnostics;

namespace DualSparse.Tests.Cli;

/// <summary>The script at the repository's root, on machines that lack what it needs.</summary>
public class ScriptTests
{
    [Fact]
    public void Without_dotnet_it_says_so()
    {
        var (code, errors) = RunWith(path => { });
        Assert.Equal(1, code);
        Assert.StartsWith("dualsparse: there is no 'dotnet' on the path", errors, StringComparison.Ordinal);
        Assert.Single(errors.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public void With_a_runtime_only_it_says_so()
    {
        var (code, errors) = RunWith(path =>
        {
            string dotnet = Path.Combine(path, "dotnet");
            File.WriteAllText(dotnet, "#!/bin/sh\nexit 145\n");
            if (!OperatingSystem.IsWindows())
                File.SetUnixFileMode(dotnet, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        });
        Assert.Equal(1, code);
        Assert.StartsWith("dualsparse: 'dotnet' is there, but not the .NET 10 SDK", errors, StringComparison.Ordinal);
        Assert.Single(errors.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public void Any_shell_may_be_given_it()
    {
        using var repository = new FakeRepository();
        Assert.Contains("dualsparse.dll inspect", repository.Bash("sh '{root}/dualsparse' inspect").Output);
    }

    [Theory]
    [InlineData("link", "{root}/dualsparse")]
    [InlineData("link", "../repo/dualsparse")]
    [InlineData("link", "second", "second", "../repo/dualsparse")]
    [InlineData("sub", "../repo", "link", "sub/dualsparse")]
    public void A_link_to_it_starts_the_program_that_it_points_to(params string[] links)
    {
        using var repository = new FakeRepository();
        string bin = Directory.CreateDirectory(Path.Combine(repository.Root, "..", "bin")).FullName;
        for (int i = 0; i < links.Length; i += 2)
            File.CreateSymbolicLink(Path.Combine(bin, links[i]), links[i + 1].Replace("{root}", repository.Root, StringComparison.Ordinal));
        foreach (string command in new[] { $"'{bin}/link' inspect", $"cd '{bin}' && ./link inspect", $"PATH='{bin}':$PATH; link inspect" })
        {
            var (code, output) = repository.Bash(command);
            Assert.Equal(0, code);
            Assert.Contains($"{repository.Root}/bin/dualsparse/dualsparse.dll inspect", output);
        }

        Assert.Equal(links.Where((_, i) => i % 2 == 0).Order(), Directory.EnumerateFileSystemEntries(bin).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void Closed_standard_streams_are_no_files_of_the_runtimes()
    {
        if (!Directory.Exists("/proc/self/fd"))
            Assert.Skip("needs /proc to look at a program's streams");
        using var repository = new FakeRepository();
        Assert.Contains("0 -> /dev/null", repository.Bash("'{root}/dualsparse' streams <&-").Output);
        Assert.Contains("2 -> /dev/null", repository.Bash("'{root}/dualsparse' streams 2>&-").Output);
        var (code, output) = repository.Bash("('{root}/dualsparse' streams 2>&3 >&-) 3>&1");
        Assert.Equal(1, code);
        Assert.StartsWith("dualsparse: standard output is closed", output, StringComparison.Ordinal);
    }

    // The script and a 'dotnet' that builds nothing and says what it is to run, and of a program 'streams' what its descriptors are.
    private sealed class FakeRepository : IDisposable
    {
        private const string Dotnet = """
            #!/bin/bash
            case "$1" in
                --version) echo 10 ;;
                publish) : ;;
                *) echo "$@"; [ "$2" != streams ] || for d in 0 1 2; do echo "$d -> $(readlink /proc/$$/fd/$d)"; done ;;
            esac
            """;

        private readonly TemporaryFolder folder = new();

        public FakeRepository()
        {
            if (OperatingSystem.IsWindows() || !File.Exists("/bin/bash"))
                Assert.Skip("needs bash");
            Directory.CreateDirectory(Path.Combine(Root, "src"));
            File.Copy(TestPaths.InRepository("dualsparse"), Path.Combine(Root, "dualsparse"));
            File.WriteAllText(Path.Combine(Root, "global.json"), "{}");
            File.WriteAllText(Path.Combine(Root, "Directory.Build.props"), "<Project/>");
            Directory.CreateDirectory(folder.File("tools"));
            File.WriteAllText(Path.Combine(folder.File("tools"), "dotnet"), Dotnet.ReplaceLineEndings("\n") + "\n");
            if (!OperatingSystem.IsWindows())
                File.SetUnixFileMode(Path.Combine(folder.File("tools"), "dotnet"), UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }

        public string Root => folder.File("repo");

        public (int Code, string Output) Bash(string command)
        {
            var start = new ProcessStartInfo("/bin/bash", ["-c", command.Replace("{root}", Root, StringComparison.Ordinal)]) { RedirectStandardOutput = true };
            start.Environment["PATH"] = $"{folder.File("tools")}:{Environment.GetEnvironmentVariable("PATH")}";
            using var process = Process.Start(start)!;
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return (process.ExitCode, output);
        }

        public void Dispose() => folder.Dispose();
    }

    // A copy of the script in a folder of its own, where nothing is built, and a path with the tools it uses but for dotnet.
    private static (int Code, string Errors) RunWith(Action<string> prepare)
    {
        if (OperatingSystem.IsWindows() || !File.Exists("/bin/bash"))
            Assert.Skip("needs bash");
        using var folder = new TemporaryFolder();
        string path = Directory.CreateDirectory(folder.File("tools")).FullName;
        File.CreateSymbolicLink(Path.Combine(path, "dirname"), File.Exists("/usr/bin/dirname") ? "/usr/bin/dirname" : "/bin/dirname");
        prepare(path);
        File.Copy(TestPaths.InRepository("dualsparse"), folder.File("dualsparse"));
        var start = new ProcessStartInfo("/bin/bash", [folder.File("dualsparse"), "generate", "x"]) { RedirectStandardError = true };
        start.Environment["PATH"] = path;
        using var process = Process.Start(start)!;
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, errors);
    }
}
