using System.CommandLine;

namespace DualSparse.Cli.Hosting;

/// <summary>Which model a command is about: <c>-m FOLDER</c> everywhere, and where a command has no other argument the folder alone.</summary>
internal sealed class ModelArgument
{
    private readonly Argument<string?>? argument;

    private readonly Option<string?> option = new("--model", "-m")
    {
        Description = $"The model's folder. [default: {ModelFolder.Default}]",
        HelpName = "folder",
    };

    /// <summary>Adds it to a command.</summary>
    /// <param name="command">The command.</param>
    /// <param name="positional">Whether the folder may stand alone.</param>
    public ModelArgument(Command command, bool positional)
    {
        if (positional)
            command.Arguments.Add(argument = new("model") { Description = "The model's folder, as --model names it.", Arity = ArgumentArity.ZeroOrOne });
        command.Options.Add(option);
    }

    /// <summary>The folder that was given; null: none.</summary>
    /// <exception cref="ArgumentException">Two were.</exception>
    public string? Given(ParseResult parsed)
    {
        string? alone = argument is null ? null : parsed.GetValue(argument), named = parsed.GetValue(option);
        return alone is null || named is null
            ? alone ?? named
            : throw new ArgumentException($"the model is '{alone}' and '{named}' (--model): give one of them");
    }

    /// <summary>The folder of the model, the one that ships unless another was given.</summary>
    /// <exception cref="Models.ModelFormatException">There is no such folder.</exception>
    public string Folder(ParseResult parsed) => ModelFolder.Find(Given(parsed));
}
