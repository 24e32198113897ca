using System.CommandLine;
using DualSparse.Cli.Commands;
using DualSparse.Cli.Hosting;

// The composition root: a command is one file and one line here.
var root = new RootCommand("Runs mixture-of-experts language models.")
{
    GenerateCommand.Create(),
    InspectCommand.Create(),
    VerifyCommand.Create(),
    EvalCommand.Create(),
    BenchCommand.Create(),
    SparsifyCommand.Create(),
};
return CommandHost.Run(root, args);
