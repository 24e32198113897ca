using System.CommandLine;
using DualSparse.Engine;

namespace DualSparse.Cli.Hosting;

/// <summary><c>--chat-template FILE</c> of every command that has conversations.</summary>
internal sealed class ChatTemplateOption
{
    private readonly Option<string?> option = new("--chat-template")
    {
        Description = "The chat template: a file with Jinja, or a JSON file with chat_template. [default: the model's own]",
        HelpName = "file",
    };

    /// <summary>Adds the option to a command.</summary>
    public ChatTemplateOption(Command command) => command.Options.Add(option);

    /// <summary>The same options with the template that was given.</summary>
    public EngineOptions AddTo(EngineOptions options, ParseResult parsed) => parsed.GetValue(option) is { } file ? options with { ChatTemplate = file } : options;
}
