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
