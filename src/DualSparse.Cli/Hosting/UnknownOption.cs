using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.RegularExpressions;

namespace DualSparse.Cli.Hosting;

/// <summary>
/// Finds what looks like an option and was taken for something else: a parser gives <c>--greedy</c> to whatever still wants a text or a
/// folder. What follows <c>--</c> is never an option.
/// </summary>
internal static partial class UnknownOption
{
    // A slip of the finger or two.
    private const int NearestEdits = 2;

    /// <summary>The sentence about the first one; null where there is none.</summary>
    /// <param name="parsed">What the parser made of the arguments.</param>
    /// <param name="args">The arguments, which tell a value of its own from one after an equals sign.</param>
    public static string? Find(ParseResult parsed, string[] args)
    {
        int end = parsed.Tokens.ToList().FindIndex(t => t.Type == TokenType.DoubleDash);
        var before = end < 0 ? parsed.Tokens : [.. parsed.Tokens.Take(end)];
        var stray = before.FirstOrDefault(t => t.Type == TokenType.Argument && Looks().IsMatch(t.Value) && args.Contains(t.Value));
        if (stray is null)
            return null;
        string name = stray.Value.Split('=')[0];
        var command = parsed.CommandResult.Command;
        string near = Nearest(name, command) is { } other ? $"; did you mean {other}?" : "";
        string text = command.Arguments.Any(a => a.Name == "prompt") ? $", and a text that begins with - comes after --" : "";
        return $"there is no option '{name}'{near}; '{ParseMistake.Help(parsed)}' says what there is{text}";
    }

    private static string? Nearest(string name, Command command) => command.Options
        .SelectMany(o => o.Aliases.Append(o.Name))
        .Select(o => (Name: o, Edits: Edits(name, o)))
        .Where(o => o.Edits <= NearestEdits && o.Name.Length > NearestEdits)
        .OrderBy(o => o.Edits)
        .FirstOrDefault().Name;

    // Levenshtein's distance.
    private static int Edits(string a, string b)
    {
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)));
        }

        return row[b.Length];
    }

    [GeneratedRegex("^--?[A-Za-z][A-Za-z0-9-]*(=.*)?$", RegexOptions.Singleline)]
    private static partial Regex Looks();
}
