using System.CommandLine;
using DualSparse.Cli.Hosting;

namespace DualSparse.Tests.Cli;

/// <summary>What a command ended with: its exit code, what it printed, and what it said beside that.</summary>
internal sealed record CommandRun(int Code, string Output, string Errors)
{
    // Parsing changes nothing in it: tests in parallel share one.
    private static readonly RootCommand s_commands = DualSparse.Cli.Program.Commands();

    /// <summary>Runs a command in this process, as the program runs it.</summary>
    public static CommandRun Of(params string[] arguments)
    {
        using StringWriter output = new(), errors = new();
        int code = CommandHost.Run(s_commands, arguments, output, errors);
        return new CommandRun(code, Text(output), Text(errors));
    }

    /// <summary>Runs a command that can't be run: its one sentence, after the program's name.</summary>
    public static string Mistake(params string[] arguments)
    {
        var run = Of(arguments);
        Assert.Equal((1, ""), (run.Code, run.Output));
        string line = Assert.Single(run.Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.StartsWith("dualsparse: ", line);
        Assert.DoesNotContain("   at ", line);
        return line;
    }

    private static string Text(StringWriter writer) => writer.ToString().Replace(Environment.NewLine, "\n", StringComparison.Ordinal);
}
