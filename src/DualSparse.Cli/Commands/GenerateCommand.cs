using System.CommandLine;
using DualSparse.Cli.Hosting;
using DualSparse.Distributed;
using DualSparse.Engine;
using DualSparse.Engine.Serving;
using DualSparse.Engine.Vision;
using DualSparse.Models;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse generate "prompt"</c>: text to standard output, figures to standard error.</summary>
internal static class GenerateCommand
{
    // Tokens when neither the user nor the checkpoint says how many: a paragraph or two.
    private const int DefaultTokens = 256;

    // About, of English; what it is for needs no more.
    private const int CharactersPerToken = 4;

    public static Command Create()
    {
        var command = new Command("generate", "Continues a text.");
        var prompt = new Argument<string?>("prompt") { Description = "The text to continue, in quotes; - reads it from standard input. A line end at its end is dropped.", Arity = ArgumentArity.ZeroOrOne };
        var file = new Option<string?>("--file", "-f") { Description = "Read the text from a UTF-8 file instead. A line end at its end is dropped.", HelpName = "file" };
        var json = new Option<bool>("--json") { Description = "Write JSON: text, tokens and figures." };
        command.Arguments.Add(prompt);
        command.Options.Add(file);
        var images = new ImageOption(command);
        var model = new ModelArgument(command, positional: false);
        var engine = new EngineArguments(command);
        var drop = new DropArguments(command);
        var sampling = new SamplingArguments(command);
        command.Options.Add(json);
        var ranks = new RankArguments(command);
        command.SetAction(parsed =>
        {
            sampling.Options(parsed, new GenerationOptions()).Check();
            var options = engine.Engine(parsed) with { Drop = drop.Request(parsed) };
            // Of several ranks the first reads it: standard input is there once.
            var text = new Lazy<string>(() => Prompt(parsed.GetValue(prompt), parsed.GetValue(file)));
            return ranks.Run(parsed, () => model.Folder(parsed), options, chosen => Run(
                parsed.InvocationConfiguration, model.Folder(parsed), chosen, text.Value, images.Files(parsed), defaults => sampling.Options(parsed, defaults), parsed.GetValue(json)), _ => RankWork.Texts(
                [Math.Max(1, text.Value.Length / CharactersPerToken)], sampling.Options(parsed, new GenerationOptions()).MaxTokens ?? DefaultTokens));
        });
        return command;
    }

    private static string Prompt(string? text, string? file) => (text, file) switch
    {
        (null, null) => throw new ArgumentException("there is nothing to continue: give a text, - for standard input, or -f FILE"),
        (not null, not null) => throw new ArgumentException("a text and --file are two ways to say one thing: give one of them"),
        (InputText.Standard, _) => InputText.ReadPrompt(InputText.Standard),
        (_, not null) => InputText.ReadPrompt(file),
        _ => text,
    };

    private static int Run(InvocationConfiguration streams, string folder, EngineOptions engine, string text, IReadOnlyList<string> images, Func<GenerationDefaults, GenerationOptions> choose, bool json)
    {
        // What is refused needn't load first.
        var config = ModelConfig.Load(folder);
        var options = choose(config.Generation);
        var pictures = ImageOption.Read(images, folder, config);
        using var model = Load(streams.Error, folder, engine);
        options = options with { MaxTokens = options.MaxTokens ?? DefaultTokens };

        using var session = model.NewSession();
        using var interrupt = new Interrupt();
        session.Append(PicturePrompt.Of(model.Config, model.Tokenizer.Encode(text, addSpecial: true), pictures, session.ContextTokens));
        var generation = session.Generate(options, interrupt.Token);
        using (var output = StandardOutput.Open(streams.Output))
        {
            var writer = GenerateOutput.For(output, model, options, json);
            foreach (var token in generation)
            {
                writer.Add(token);
                if (StandardOutput.ReaderGone(streams.Output))
                    return CommandHost.Unread;
            }

            writer.End(generation.Summary, session);
        }

        if (!json)
            Terminal.WritePieces(streams.Error, Figures.Of(model, engine, generation.Summary, session), Terminal.Columns(streams.Error));
        if (engine.Balance is { } balance)
            Terminal.WriteLine(streams.Error, BalanceArguments.Line(balance, model.Transformer.Balance));
        foreach (string note in model.Notes)
            streams.Error.WriteLine($"note: {note}");
        return 0;
    }

    private static MoeModel Load(TextWriter errors, string folder, EngineOptions engine)
    {
        using var progress = new LoadingLine(errors);
        return MoeModel.Load(folder, engine, progress);
    }
}
