using System.Globalization;
using System.Text;

namespace DualSparse.Models.Text.Patterns;

/// <summary>
/// A pattern's own alphabet: code points that no set of the pattern tells apart are one symbol, a char. Over symbols the sets are
/// exact whatever .NET knows of Unicode, and a character beyond U+FFFF is one symbol like any other.
/// </summary>
internal sealed class PatternAlphabet
{
    private const int PageBits = 8;
    private const int PageSize = 1 << PageBits;

    private readonly char[][] pages;
    private readonly List<int> examples = []; // a code point of each symbol

    /// <summary>Makes the alphabet that tells <paramref name="sets"/> apart.</summary>
    public PatternAlphabet(IReadOnlyCollection<CodePointSet> sets)
    {
        int[][] edges = [.. sets.Select(set => set.Edges).Distinct()];
        List<(int Start, char Symbol)> spans = Spans(edges);
        pages = Pages(spans);
    }

    /// <summary>The symbol of a code point.</summary>
    public char Symbol(int code) => pages[code >> PageBits][code & (PageSize - 1)];

    /// <summary>Writes the symbol of each character of <paramref name="text"/>, valid UTF-16, to <paramref name="symbols"/>; returns how many there are.</summary>
    public int Translate(ReadOnlySpan<char> text, Span<char> symbols)
    {
        int count = 0;
        for (int i = 0; i < text.Length; i++)
        {
            int code = text[i];
            if (char.IsHighSurrogate(text[i]))
            {
                code = char.ConvertToUtf32(text[i], text[++i]);
            }

            symbols[count++] = pages[code >> PageBits][code & (PageSize - 1)];
        }

        return count;
    }

    /// <summary>A set as .NET's class of symbols.</summary>
    public string Class(CodePointSet set)
    {
        var text = new StringBuilder();
        int members = 0;
        for (int symbol = 0; symbol < examples.Count; symbol++)
        {
            if (!set.Contains(examples[symbol]))
                continue;
            int last = symbol;
            while (last + 1 < examples.Count && set.Contains(examples[last + 1]))
            {
                last++;
            }

            members += last - symbol + 1;
            text.Append(CultureInfo.InvariantCulture, $"\\u{symbol:X4}");
            if (last > symbol)
                text.Append(CultureInfo.InvariantCulture, $"-\\u{last:X4}");
            symbol = last;
        }

        return members switch { 0 => "(?!)", 1 => text.ToString(), _ => $"[{text}]" };
    }

    // Where the symbol changes, and to which: places between two edges are told apart by the sets that have them.
    private List<(int Start, char Symbol)> Spans(int[][] edges)
    {
        Dictionary<string, char> symbols = new(StringComparer.Ordinal);
        char[] within = new char[edges.Length]; // 1 for each set that one is within
        List<(int Start, char Symbol)> spans = [];
        var changes = edges.SelectMany((set, index) => set.Select(edge => (Edge: edge, Set: index))).Where(change => change.Edge < 0x110000)
            .GroupBy(change => change.Edge, change => change.Set).ToDictionary(group => group.Key);
        foreach (int start in changes.Keys.Append(0).Distinct().Order())
        {
            foreach (int set in changes.GetValueOrDefault(start) ?? Enumerable.Empty<int>())
            {
                within[set] ^= '\u0001';
            }

            string key = new(within);
            if (!symbols.TryGetValue(key, out char symbol))
            {
                symbols[key] = symbol = (char)symbols.Count;
                examples.Add(start);
            }

            spans.Add((start, symbol));
        }

        return symbols.Count <= char.MaxValue ? spans : throw new NotSupportedException($"more than {char.MaxValue} sets of characters");
    }

    // Pages of one symbol are shared.
    private static char[][] Pages(List<(int Start, char Symbol)> spans)
    {
        var pages = new char[0x110000 >> PageBits][];
        Dictionary<char, char[]> plain = [];
        int span = 0;
        for (int page = 0; page < pages.Length; page++)
        {
            int first = page << PageBits;
            while (span + 1 < spans.Count && spans[span + 1].Start <= first)
            {
                span++;
            }

            bool uniform = span + 1 == spans.Count || spans[span + 1].Start >= first + PageSize;
            if (uniform && plain.TryGetValue(spans[span].Symbol, out char[]? shared))
            {
                pages[page] = shared;
                continue;
            }

            char[] symbols = pages[page] = new char[PageSize];
            for (int i = 0, at = span; i < PageSize; i++)
            {
                while (at + 1 < spans.Count && spans[at + 1].Start <= first + i)
                {
                    at++;
                }

                symbols[i] = spans[at].Symbol;
            }

            if (uniform)
            {
                plain[spans[span].Symbol] = symbols;
            }
        }

        return pages;
    }
}
