using System.Globalization;
using System.Text.RegularExpressions;

namespace DualSparse.Tests.Docs;

/// <summary>A phrase of a document whose numbers come from results, or whose numbers are no results.</summary>
/// <param name="Document">The document, from the repository's root.</param>
/// <param name="Phrase">As it stands there, a number as its format in braces.</param>
/// <param name="Sources">For each number the way to it, as <see cref="ResultNumber.Of"/> takes it.</param>
internal sealed partial record NumberBinding(string Document, string Phrase, IReadOnlyList<string> Sources)
{
    /// <summary>
    /// Reads docs/numbers.txt: <c>[document]</c>, and below it phrases, each with lines <c>= source</c>, or with one line
    /// <c>: reason</c> where its numbers are no results.
    /// </summary>
    public static List<NumberBinding> Read(string path)
    {
        List<NumberBinding> bindings = [];
        string document = "";
        string? phrase = null;
        List<string> sources = [];
        foreach (string line in File.ReadLines(path).Append("[end]"))
        {
            if (line.StartsWith("  = ", StringComparison.Ordinal))
            {
                sources.Add(line[4..]);
                continue;
            }

            if (line.StartsWith("  : ", StringComparison.Ordinal) || line.StartsWith("# ", StringComparison.Ordinal) || line.Length == 0)
                continue;
            if (phrase is not null)
                bindings.Add(new NumberBinding(document, phrase, sources));
            (phrase, sources) = (line, []);
            if (line is ['[', .. var name, ']'])
                (document, phrase) = (name, null);
        }

        return bindings;
    }

    /// <summary>Where the phrase stands, whatever its numbers.</summary>
    public IReadOnlyList<Match> In(string text)
    {
        string pattern = string.Concat(Formats().Split(Phrase).Select((part, i) => i % 2 == 0 ? Regex.Escape(part) : $"(?<n>{AnyNumber})"));
        return Regex.Matches(text, pattern);
    }

    /// <summary>The phrase with the results' numbers.</summary>
    /// <exception cref="FormatException">A source isn't there, or there are more or fewer than numbers.</exception>
    public string Filled()
    {
        int next = 0;
        string filled = Formats().Replace(Phrase, format => Show(ResultNumber.Of(Sources[next++]), format.Groups["format"].Value));
        return next == Sources.Count ? filled : throw new FormatException($"'{Phrase}' has {next} numbers and {Sources.Count} sources");
    }

    /// <summary>A number as documents write it: with a minus sign, unless rounding leaves nothing of it.</summary>
    public static string Show(double value, string format)
    {
        string shown = value.ToString(format, CultureInfo.InvariantCulture);
        return shown.Any(c => c is >= '1' and <= '9') ? shown.Replace('-', '−') : shown.TrimStart('-', '+');
    }

    // With a sign, thousands apart, a share in per cent.
    private const string AnyNumber = @"[−+]?[\d,]*\d(?:\.\d+)?(?: ?%)?";

    [GeneratedRegex(@"\{(?<format>[^}]+)\}")]
    private static partial Regex Formats();
}
