using System.CommandLine;
using DualSparse.Cli.Hosting;
using DualSparse.Models;
using DualSparse.Sparsify;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse convert MODEL --wiring farskip -o OUT</c>: the same weights in another wiring, taught by the model itself.</summary>
internal static class ConvertCommand
{
    public static Command Create()
    {
        var command = new Command("convert", "Writes a model in another wiring, whose experts' rows travel beside attention. With --text it then learns its former predictions; without it is hardly a model.");
        var model = new ModelArgument(command, positional: true);
        var wiring = new Option<string>("--wiring") { Description = $"The wiring: {WiringField.FarSkip} (FarSkip-Collective, arXiv 2511.11505).", HelpName = "name", Required = true };
        var output = new Option<string>("--output", "-o") { Description = "The folder to write to; it must be new or empty.", HelpName = "folder", Required = true };
        var text = new Option<string[]>("--text") { Description = "Texts to learn the model's own predictions on, UTF-8.", HelpName = "file", AllowMultipleArgumentsPerToken = true };
        foreach (var option in new Option[] { wiring, output, text })
            command.Options.Add(option);
        var arguments = new TrainArguments(command);
        var threads = NumberOption.Create<int>("--threads", "Threads to compute on; they change no bit of the result. [default: as many as this process may use]", "-t");
        var json = new Option<bool>("--json") { Description = "Write the results as JSON." };
        command.Options.Add(threads);
        command.Options.Add(json);
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(wiring) is var name && name != WiringField.FarSkip)
                throw new ArgumentException($"--wiring is '{name}', expected {WiringField.FarSkip}");
            string[] texts = parsed.GetValue(text) ?? [];
            string folder = model.Folder(parsed), to = parsed.GetValue(output)!;
            if (texts is [] && arguments.Given(parsed) is { } alone)
                throw new ArgumentException($"{alone} goes with --text: without it nothing is learned");
            if (texts is [])
            {
                Rewiring.Write(folder, to);
                parsed.InvocationConfiguration.Output.WriteLine($"{to}: rewired, and not taught yet: '{SparsifyCommand.Program()} train --init {to} --teacher {folder} --text FILE -o OUT' teaches it");
                return 0;
            }

            var options = arguments.Options(parsed) with { Threads = parsed.GetValue(threads), Teacher = folder };
            using var rewired = Rewiring.Config(folder);
            return TrainCommand.Run(parsed.InvocationConfiguration, parsed.GetValue(json), peers: null, start => start.Begin(rewired.Path, folder, folder, texts, to, options));
        });
        return command;
    }
}
