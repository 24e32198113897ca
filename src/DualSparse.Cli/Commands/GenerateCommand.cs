using System.CommandLine;
using System.Text.Json;
using DualSparse.Cli.Hosting;
using DualSparse.Engine;
using DualSparse.Engine.Serving;
using DualSparse.Models.Text;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse generate "prompt"</c>: text to standard output, a line of figures to standard error.</summary>
internal static class GenerateCommand
{
    // Tokens when neither the user nor the checkpoint says how many: a paragraph or two.
    private const int DefaultTokens = 256;

    public static Command Create()
    {
        var command = new Command("generate", "Continues a text.");
        var prompt = new Argument<string>("prompt") { Description = "The text to continue; - reads it from standard input." };
        command.Arguments.Add(prompt);
        var engine = new EngineArguments(command);
        var drop = new DropArguments(command);
        var sampling = new SamplingArguments(command);
        command.SetAction(parsed => Run(
            parsed.InvocationConfiguration, engine.Folder(parsed), engine.Engine(parsed) with { Drop = drop.Rule(parsed) }, parsed.GetValue(prompt)!, defaults => sampling.Options(parsed, defaults)));
        return command;
    }

    private static int Run(InvocationConfiguration streams, string folder, EngineOptions engine, string prompt, Func<GenerationOptions, GenerationOptions> choose)
    {
        choose(new GenerationOptions()).Check();
        string text = prompt == "-" ? ReadInput() : prompt;
        using var model = Load(streams.Error, folder, engine);
        var options = choose(model.Defaults);
        options = options with { MaxTokens = options.MaxTokens ?? DefaultTokens };

        using var session = model.NewSession();
        using var interrupt = new Interrupt();
        var generation = session.Generate(text, options, interrupt.Token);
        using (var output = StandardOutput.Open(streams.Output))
        {
            foreach (var token in generation)
            {
                output.Write(options.LogProbs is null ? token.Text : Line(model, token));
                if (StandardOutput.ReaderGone(streams.Output))
                    return CommandHost.Unread;
            }

            if (options.LogProbs is null)
                output.WriteLine();
        }

        streams.Error.WriteLine(Figures.Line(model, engine, generation.Summary, session));
        return 0;
    }

    private static MoeModel Load(TextWriter errors, string folder, EngineOptions engine)
    {
        using var progress = new LoadingLine(errors);
        return MoeModel.Load(folder, engine, progress);
    }

    private static string ReadInput()
    {
        // A file or a pipe is UTF-8; what is typed comes in the terminal's own encoding, on Windows a code page.
        using var input = Console.OpenStandardInput();
        if (Console.IsInputRedirected)
            return TextFile.Read(input, "standard input");
        using var typed = new StreamReader(input, Console.InputEncoding);
        return typed.ReadToEnd();
    }

    // Tab-separated: id, log-probability, token; then id, log-probability and token of each alternative.
    private static string Line(MoeModel model, GeneratedToken token)
    {
        var cells = token.Alternatives.Prepend(new TokenLogProb(token.Id, token.LogProb!.Value))
            .Select(t => $"{t.Id}\t{t.LogProb:0.0000}\t\"{JsonEncodedText.Encode(model.Tokenizer.Decode([t.Id]))}\"");
        return string.Join('\t', cells) + "\n";
    }
}
