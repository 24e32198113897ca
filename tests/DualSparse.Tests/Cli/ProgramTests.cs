using System.Diagnostics;
using System.Text;

namespace DualSparse.Tests.Cli;

/// <summary>The built program as its users run it: what only a process of its own shows. <see cref="CommandTests"/> has the rest.</summary>
public class ProgramTests
{
    [Theory]
    [InlineData("generate", "The city of", "--max-tokens", "4", "--temperature", "0")]
    [InlineData("inspect")]
    [InlineData("verify", "GOLDEN/mixtral", "--weights", "f32")]
    [InlineData("eval", "--ids", "GOLDEN/eval/windows.safetensors", "--windows", "1", "--json")]
    [InlineData("sparsify", "GOLDEN/olmoe", "-o", "", "--complete", "2")]
    [InlineData("bench", "--prompt", "99999", "--generate", "0")]
    public void Each_command_prints_what_it_prints_in_this_process(params string[] arguments)
    {
        using TemporaryFolder here = new(), there = new();
        var expected = CommandRun.Of(Named(here));
        var run = Run(Named(there));
        Assert.Equal((expected.Code, expected.Output.Replace(here.Path, there.Path, StringComparison.Ordinal)), (run.Code, run.Output));
        // Figures of time differ.
        if (arguments[0] != "generate")
            Assert.Equal(expected.Errors, run.Errors);

        string[] Named(TemporaryFolder folder) =>
            [.. arguments.Select(a => a.Length == 0 ? folder.File("out") : a.Replace("GOLDEN", TestPaths.Golden(), StringComparison.Ordinal))];
    }

    [Fact]
    public void It_knows_its_name_and_version()
    {
        Assert.StartsWith($"{typeof(DualSparse.Cli.Program).Assembly.GetName().Version!.ToString(3)}", Run("--version").Output);
        Assert.Contains("dualsparse generate", Run("generate", "--help").Output);
    }

    [Fact]
    public void Text_from_standard_input_that_is_not_utf8_is_refused()
    {
        if (OperatingSystem.IsWindows())
            Assert.Skip("needs a POSIX shell");
        var run = Shell($"printf 'a\\377b' | dotnet '{Program}' generate -");
        Assert.Equal(1, run.Code);
        Assert.Contains("standard input: the byte 0xff at offset 1", run.Errors);
    }

    [Fact]
    public void A_prompt_comes_from_standard_input_and_may_begin_with_an_at_sign()
    {
        string[] options = ["--max-tokens", "8", "--temperature", "0"];
        var given = CommandRun.Of(["generate", "@The city of", .. options]);
        Assert.Equal(0, given.Code);
        Assert.Equal(given.Output, Run("dotnet", [Program, "generate", "-", .. options], input: "@The city of").Output);
    }

    [Fact]
    public void A_text_to_measure_on_comes_from_standard_input()
    {
        string file = TestPaths.InRepository("README.md");
        string[] options = ["--context", "32", "--windows", "1", "--json"];
        var given = CommandRun.Of(["eval", "--text", file, .. options]);
        Assert.Equal(0, given.Code);
        string expected = given.Output.Replace("\"README\"", "\"standard input\"", StringComparison.Ordinal);
        Assert.Equal(expected, Run("dotnet", [Program, "eval", "--text", "-", .. options], input: File.ReadAllText(file)).Output);
    }

    [Fact]
    public void The_last_line_end_of_standard_input_is_no_part_of_a_prompt()
    {
        string[] arguments = [Program, "generate", "-", "-n", "1", "--temperature", "0"];
        Assert.Equal(Run("dotnet", arguments, input: "The city of").Output, Run("dotnet", arguments, input: "The city of\n").Output);
        Assert.StartsWith("prompt 1 token,", Run("dotnet", arguments, input: "").Errors);
    }

    [Fact]
    public void An_interrupt_ends_it_with_130()
    {
        // A process that is started in the background of a script inherits that interrupts are ignored: env takes that back.
        if (!OperatingSystem.IsLinux() || Exit("env", "--default-signal=INT", "true") != 0)
            Assert.Skip("needs an env that knows --default-signal");
        var start = new ProcessStartInfo("env", ["--default-signal=INT", "dotnet", Program, "generate", "x", "--max-tokens", "500", "--temperature", "0"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        Assert.NotEqual(-1, process.StandardOutput.Read());
        Assert.Equal(0, Exit("kill", "-INT", $"{process.Id}"));
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(130, process.ExitCode);
        Assert.DoesNotContain("   at ", process.StandardError.ReadToEnd());
    }

    [Theory]
    [InlineData("TERM")]
    [InlineData("HUP")]
    public void A_signal_where_no_work_can_be_cancelled_ends_it_with_130_and_leaves_nothing(string signal)
    {
        if (OperatingSystem.IsWindows())
            Assert.Skip("needs signals");
        using var temporary = new TemporaryFolder();
        var start = new ProcessStartInfo("dotnet", [Program, "bench", "layer", "--rounds", "100"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["TMPDIR"] = temporary.Path;
        using var process = Process.Start(start)!;
        Assert.Equal("making weights", process.StandardError.ReadLine());
        Assert.Equal(0, Exit("kill", $"-{signal}", $"{process.Id}"));
        process.WaitForExit();
        Assert.Equal(130, process.ExitCode);
        Assert.Empty(Directory.EnumerateFileSystemEntries(temporary.Path));
    }

    [Fact]
    public void Folders_that_are_not_there_any_more_are_named()
    {
        if (OperatingSystem.IsWindows())
            Assert.Skip("needs a system where a folder in use can be deleted");
        using var folder = new TemporaryFolder();
        string gone = folder.File("gone");
        var run = Shell($"mkdir '{gone}'; cd '{gone}'; rmdir '{gone}'; exec dotnet '{Program}' generate x -m '{TestPaths.Model}'");
        Assert.Equal(1, run.Code);
        Assert.Contains("the current folder isn't there any more", run.Errors);
        run = Shell($"TMPDIR='{gone}' exec dotnet '{Program}' bench --shape olmoe --layers 1");
        Assert.Equal(1, run.Code);
        Assert.Contains($"{gone}/, the temporary folder, and there is no such folder", run.Errors);
    }

    [Fact]
    public void A_reader_that_has_gone_ends_it_with_141()
    {
        if (OperatingSystem.IsWindows())
            Assert.Skip("needs a pipe whose broken end is told");
        // Nobody prints the line of figures: it ended before the end.
        var (code, output, errors) = Shell($"(dotnet '{Program}' generate x --max-tokens 500 --temperature 0; echo $? >&2) | head -c 1");
        Assert.Equal((0, 1), (code, output.Length));
        Assert.Equal("141", errors.Trim());
    }

    [Fact]
    public void What_it_writes_to_a_file_stands_between_what_others_write()
    {
        if (OperatingSystem.IsWindows())
            Assert.Skip("needs a POSIX shell");
        using var folder = new TemporaryFolder();
        string file = folder.File("all.txt");
        string alone = CommandRun.Of("generate", "Once upon a time", "--max-tokens", "8", "--temperature", "0").Output;
        string generate = $"dotnet '{Program}' generate 'Once upon a time' --max-tokens 8 --temperature 0 2>/dev/null";
        Assert.Equal(0, Shell($"(echo before; {generate}; echo after) > '{file}'").Code);
        Assert.Equal($"before\n{alone}after\n", File.ReadAllText(file));
    }

    [Fact]
    public void A_full_disk_behind_both_outputs_is_an_exit_code_and_no_crash()
    {
        if (!File.Exists("/dev/full"))
            Assert.Skip("needs /dev/full");
        Assert.Equal(1, Exit("sh", "-c", $"dotnet '{Program}' inspect nowhere >/dev/full 2>/dev/full"));
        Assert.Equal(1, Exit("sh", "-c", $"dotnet '{Program}' inspect '{TestPaths.Model}' >/dev/full 2>/dev/full"));
    }

    [Fact]
    public void A_standard_error_that_is_full_stops_no_work()
    {
        if (!File.Exists("/dev/full"))
            Assert.Skip("needs /dev/full");
        var run = Shell($"dotnet '{Program}' generate 'The city of' -n 4 --temperature 0 2>/dev/full");
        Assert.Equal((0, CommandRun.Of("generate", "The city of", "-n", "4", "--temperature", "0").Output), (run.Code, run.Output));
    }

    [Fact]
    public void An_argument_that_is_not_utf8_is_refused()
    {
        if (!File.Exists("/proc/self/cmdline"))
            Assert.Skip("needs /proc to see a program's arguments");
        var run = Shell($"dotnet '{Program}' generate \"$(printf 'a\\377b')\" -n 1");
        Assert.Equal((1, ""), (run.Code, run.Output));
        Assert.Contains("is not valid UTF-8: convert it, or give a text by -f FILE", run.Errors);
        Assert.Equal(0, Run("generate", "a\uFFFDb", "-n", "1").Code);
    }

    private static readonly Encoding s_utf8 = new UTF8Encoding(false);

    private static string Program => Path.Combine(AppContext.BaseDirectory, "dualsparse.dll");

    private static int Exit(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        process.WaitForExit();
        return process.ExitCode;
    }

    private static CommandRun Shell(string command) => Run("sh", ["-c", command], null);

    private static CommandRun Run(params string[] arguments) => Run("dotnet", [Program, .. arguments], null);

    private static CommandRun Run(string program, IEnumerable<string> arguments, string? input)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardInputEncoding = s_utf8,
            StandardOutputEncoding = s_utf8,
            StandardErrorEncoding = s_utf8,
        };
        using var process = Process.Start(start)!;
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        string output = process.StandardOutput.ReadToEnd().Replace(Environment.NewLine, "\n", StringComparison.Ordinal);
        process.WaitForExit();
        return new CommandRun(process.ExitCode, output, errors.Result.Replace(Environment.NewLine, "\n", StringComparison.Ordinal));
    }
}
