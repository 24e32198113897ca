using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace DualSparse.Tests.Cli;

/// <summary>What surrounds a command: the user's language, and a terminal's width.</summary>
public partial class SurroundingsTests
{
    [Fact]
    public void Numbers_have_a_point_in_any_language()
    {
        string[][] commands =
        [
            ["eval", "--ids", TestPaths.Golden("eval", "windows.safetensors"), "--windows", "1", "--t-major", "0.07"],
            ["verify", TestPaths.Golden("mixtral"), "--weights", "f32"],
            ["inspect"],
            ["generate", "x", "--temperature", "hot"],
            ["generate", "x", "--temperature", "-0.5"],
            ["bench", "layer", "--drop", "0,5"],
            ["bench", "layer", "--drop", "1.5"],
        ];
        var before = CultureInfo.CurrentCulture;
        foreach (string[] command in commands)
        {
            var expected = CommandRun.Of(command);
            try
            {
                CultureInfo.CurrentCulture = WithComma();
                Assert.Equal("0,5", $"{0.5}");
                Assert.Equal(expected, CommandRun.Of(command));
            }
            finally
            {
                CultureInfo.CurrentCulture = before;
            }
        }
    }

    [Theory]
    [InlineData(80)]
    [InlineData(60)]
    public void No_figure_is_broken_in_a_terminal(int columns)
    {
        if (!File.Exists("/usr/bin/script"))
            Assert.Skip("needs 'script', which makes a terminal");
        string program = $"dotnet '{Path.Combine(AppContext.BaseDirectory, "dualsparse.dll")}'";
        string[] commands =
        [
            $"eval --text '{TestPaths.InRepository("README.md")}' --context 64 --windows 2 --t-major 0.07 --t-minor 0.09",
            "generate 'The city of' -n 4 --temperature 0",
        ];
        foreach (string command in commands)
        {
            var start = new ProcessStartInfo("/usr/bin/script", ["-qc", $"stty cols {columns}; {program} {command}", "/dev/null"])
            {
                RedirectStandardOutput = true,
                RedirectStandardInput = true,
            };
            start.Environment["TERM"] = "xterm";
            using var process = Process.Start(start)!;
            process.StandardInput.Close();
            string[] lines = Control().Replace(process.StandardOutput.ReadToEnd(), "").Split(['\r', '\n'], StringSplitOptions.RemoveEmptyEntries);
            process.WaitForExit();
            Assert.NotEmpty(lines);
            Assert.All(lines, line => Assert.True(line.Length <= columns, line));
            Assert.Contains(lines, line => line.Contains(command.StartsWith("eval", StringComparison.Ordinal) ? "perplexity " : "generation 4 tokens, ", StringComparison.Ordinal));
        }
    }

    private static CultureInfo WithComma()
    {
        var culture = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        culture.NumberFormat.NumberDecimalSeparator = ",";
        culture.NumberFormat.PercentDecimalSeparator = ",";
        culture.NumberFormat.NumberGroupSeparator = ".";
        culture.NumberFormat.NegativeSign = "\u2212";
        return culture;
    }

    [GeneratedRegex(@"\x1b\[[0-9;?]*[A-Za-z]")]
    private static partial Regex Control();
}
