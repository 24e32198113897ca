using System.Text.RegularExpressions;

namespace DualSparse.Tests.Docs;

/// <summary>
/// A document whose numbers come from results: phrases as docs/numbers.txt has them, and tables between
/// <c>&lt;!-- table: NAME --&gt;</c> and <c>&lt;!-- end --&gt;</c>, which <see cref="DocumentTables"/> writes.
/// </summary>
/// <param name="name">From the repository's root.</param>
/// <param name="bindings">Those of every document.</param>
internal sealed partial class DocumentText(string name, IReadOnlyList<NumberBinding> bindings)
{
    private readonly IReadOnlyList<NumberBinding> own = [.. bindings.Where(b => b.Document == name)];

    /// <summary>The document's file.</summary>
    public string Path => TestPaths.InRepository(name.Split('/'));

    /// <summary>The text with its results' numbers, and what is wrong with it: a phrase that is not there, a source that is not.</summary>
    public (string Text, List<string> Mistakes) Filled()
    {
        string text = File.ReadAllText(Path);
        List<string> mistakes = [];
        text = Tables().Replace(text, m => Try(() => $"{m.Groups["begin"].Value}{DocumentTables.Write(m.Groups["name"].Value)}{m.Groups["end"].Value}", mistakes) ?? m.Value);
        foreach (var binding in own)
        {
            if (binding.Sources.Count == 0 || Try(binding.Filled, mistakes) is not { } filled)
                continue;
            foreach (var match in binding.In(text).Reverse())
                text = text[..match.Index] + filled + text[(match.Index + match.Length)..];
        }

        mistakes.AddRange(own.Where(b => b.In(text).Count == 0).Select(b => $"{name} has nothing like '{b.Phrase}', which docs/numbers.txt names"));
        return (text, mistakes);
    }

    /// <summary>Numbers of a text that look like results and have no source: decimal ones and those with thousands apart, outside code, links and tables that are written.</summary>
    public IEnumerable<string> Loose(string text)
    {
        char[] open = text.ToCharArray();
        foreach (var match in Apart().Matches(text).Concat(own.SelectMany(b => b.In(text))))
            open.AsSpan(match.Index, match.Length).Fill(' ');
        string left = new(open);
        foreach (Match number in Numbers().Matches(left))
        {
            int line = text.AsSpan(0, number.Index).Count('\n') + 1;
            yield return $"{name}:{line}: {number.Value}";
        }
    }

    private static string? Try(Func<string> make, List<string> mistakes)
    {
        try
        {
            return make();
        }
        catch (FormatException e)
        {
            mistakes.Add(e.Message);
            return null;
        }
    }

    [GeneratedRegex(@"(?<begin><!-- table: (?<name>[\w-]+) -->\n)(?<rows>.*?)(?<end><!-- end -->)", RegexOptions.Singleline)]
    private static partial Regex Tables();

    // What has no numbers that somebody could take for results.
    [GeneratedRegex(@"(?ms)^```.*?^```|<!-- table: .*?<!-- end -->|`[^`\n]*`|\]\([^)\s]*\)")]
    private static partial Regex Apart();

    [GeneratedRegex(@"(?<![\w.])\d[\d,]*\.\d+|(?<![\w.])\d{1,3}(,\d{3})+")]
    private static partial Regex Numbers();
}
