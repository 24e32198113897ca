using System.CommandLine;
using DualSparse.Cli.Commands;
using DualSparse.Cli.Hosting;

namespace DualSparse.Cli;

/// <summary>The composition root: a command is one file and one line here.</summary>
internal static class Program
{
    /// <summary>Every command there is.</summary>
    public static RootCommand Commands() => new("Runs mixture-of-experts language models.")
    {
        GenerateCommand.Create(),
        InspectCommand.Create(),
        VerifyCommand.Create(),
        EvalCommand.Create(),
        BenchCommand.Create(),
        SparsifyCommand.Create(),
    };

    private static int Main(string[] args) => CommandHost.Run(Commands(), args);
}
