using System.CommandLine;
using DualSparse.Cli.Commands;
using DualSparse.Cli.Hosting;
using DualSparse.Distributed.Mpi;

namespace DualSparse.Cli;

/// <summary>The composition root: a command is one file and one line here.</summary>
internal static class Program
{
    /// <summary>Every command there is.</summary>
    public static RootCommand Commands() => new("Runs mixture-of-experts language models.")
    {
        GenerateCommand.Create(),
        ChatCommand.Create(),
        ServeCommand.Create(),
        TrainCommand.Create(),
        SparsifyCommand.Create(),
        ConvertCommand.Create(),
        EvalCommand.Create(),
        VerifyCommand.Create(),
        InspectCommand.Create(),
        BenchCommand.Create(),
    };

    private static int Main(string[] args)
    {
        // Open MPI gives ranks a terminal of its own, whose controls would stand in their output.
        if (MpiLaunch.Current is not null)
            Environment.SetEnvironmentVariable("TERM", "dumb");
        return CommandHost.Run(Commands(), args);
    }
}
