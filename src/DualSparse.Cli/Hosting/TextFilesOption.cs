using System.CommandLine;

namespace DualSparse.Cli.Hosting;

/// <summary>
/// An option that takes several files, as a shell's <c>*.txt</c> gives them. A folder after them can't be a text: it is the command's model.
/// </summary>
internal sealed class TextFilesOption(string name, string description)
{
    private readonly Option<string[]> option = new(name) { Description = description, HelpName = "file", AllowMultipleArgumentsPerToken = true };

    /// <summary>Adds the option to a command.</summary>
    public void AddTo(Command command) => command.Options.Add(option);

    /// <summary>The files, and the model's folder; null where none is given.</summary>
    /// <exception cref="ArgumentException">Two models are given.</exception>
    public (string[] Files, string? Model) FilesAndModel(ParseResult parsed, ModelArgument model)
    {
        string[] given = parsed.GetValue(option) ?? [];
        string? folder = model.Given(parsed);
        return folder is null && given is [_, _, ..] && Directory.Exists(given[^1]) ? (given[..^1], given[^1]) : (given, folder);
    }
}
