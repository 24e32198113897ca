using System.CommandLine;
using System.Text;
using DualSparse.Cli.Hosting;
using DualSparse.Engine;
using DualSparse.Engine.Serving;
using DualSparse.Models;
using DualSparse.Models.Text.Templates;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse chat</c>: a conversation in the terminal, by the model's own template.</summary>
internal static class ChatCommand
{
    public static Command Create()
    {
        var command = new Command("chat", "Talks with a model in the terminal; /help there says what there is.");
        var model = new ModelArgument(command, positional: true);
        var system = new Option<string?>("--system") { Description = "What the model is told before all else.", HelpName = "text" };
        var template = new Option<string?>("--chat-template") { Description = "Write prompts by this Jinja file. [default: the model's own template]", HelpName = "file" };
        command.Options.Add(system);
        command.Options.Add(template);
        var images = new ImageOption(command);
        var engine = new EngineArguments(command);
        var drop = new DropArguments(command);
        var sampling = new SamplingArguments(command, answers: true);
        var ranks = new RankArguments(command);
        command.SetAction(parsed =>
        {
            sampling.Options(parsed, new GenerationOptions()).Check();
            var options = engine.Engine(parsed) with { Drop = drop.Request(parsed), ChatTemplate = parsed.GetValue(template) };
            return ranks.Run(parsed, () => model.Folder(parsed), options, chosen =>
                Run(parsed.InvocationConfiguration, model.Folder(parsed), chosen, defaults => sampling.Options(parsed, defaults), parsed.GetValue(system), images.Files(parsed)));
        });
        return command;
    }

    private static int Run(InvocationConfiguration streams, string folder, EngineOptions engine, Func<GenerationDefaults, GenerationOptions> choose, string? system, IReadOnlyList<string> images)
    {
        // What is refused needn't load first.
        var config = ModelConfig.Load(folder);
        var options = choose(config.Generation);
        var pictures = ImageOption.Read(images, folder, config);
        var template = (engine.ChatTemplate is { } file ? ChatTemplate.Read(file, folder) : ChatTemplate.Find(folder)) ?? throw new ArgumentException(
            $"{folder} has no chat template, and none is made up: give one with --chat-template FILE, or continue a text with 'dualsparse generate'");
        using var model = Load(streams.Error, folder, engine);
        using var conversation = new Conversation(model, template, options) { System = system };
        foreach (var picture in pictures)
            conversation.Attach(picture);
        using var output = StandardOutput.Open(streams.Output);
        foreach (string note in model.Notes)
            streams.Error.WriteLine($"note: {note}");
        return new ChatLoop(conversation, Input(), output, streams.Error, () => StandardOutput.ReaderGone(streams.Output)).Run();
    }

    private static MoeModel Load(TextWriter errors, string folder, EngineOptions engine)
    {
        using var progress = new LoadingLine(errors);
        return MoeModel.Load(folder, engine, progress);
    }

    // A file or a pipe is UTF-8; what is typed comes in the terminal's own encoding, on Windows a code page.
    private static TextReader Input() => Console.IsInputRedirected ? new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false)) : Console.In;
}
