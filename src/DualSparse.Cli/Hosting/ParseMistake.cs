using System.CommandLine;
using System.CommandLine.Parsing;

namespace DualSparse.Cli.Hosting;

/// <summary>Sentences for what a parser can't use: its own name no way out.</summary>
internal static class ParseMistake
{
    /// <summary>The command that explains the one that was typed.</summary>
    public static string Help(ParseResult parsed)
    {
        string help = "--help";
        for (SymbolResult? at = parsed.CommandResult; at is CommandResult named; at = at.Parent)
            help = $"{(at.Parent is null ? "dualsparse" : named.Command.Name)} {help}";
        return help;
    }

    /// <summary>What is wrong; null where the parser's own sentence, or the option's, says it.</summary>
    public static string? Sentence(ParseResult parsed)
    {
        foreach (var option in parsed.CommandResult.Children.OfType<OptionResult>().Where(o => !o.Implicit))
        {
            var arity = option.Option.Arity;
            if (option.Tokens.Count == 0 && arity.MinimumNumberOfValues > 0)
                return $"{option.Option.Name} needs a value";
            if (option.IdentifierTokenCount > 1 && arity.MaximumNumberOfValues == 1)
                return $"{option.Option.Name} is given {option.IdentifierTokenCount} times, expected once";
        }

        if (parsed.UnmatchedTokens is not [var stray, ..])
            return null;
        return parsed.CommandResult.Command.Arguments.Any(a => a.Name == "prompt")
            ? $"'{stray}' comes after the text: put a text of several words in quotes"
            : $"there is nothing that '{stray}' can mean here";
    }
}
