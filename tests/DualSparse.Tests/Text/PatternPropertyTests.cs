using System.Text;
using DualSparse.Models.Text;

namespace DualSparse.Tests.Text;

/// <summary>Random patterns over random texts: what ours cuts is what Oniguruma cuts, or ours refuses the pattern.</summary>
public class PatternPropertyTests
{
    private const int Patterns = 800;
    private const int TextsEach = 3;

    // Characters at which engines disagree: other cases, marks, joiners, superscripts, letters of no case, pairs, line ends.
    private static readonly string[] Characters =
    [
        "a", "b", "s", "S", "t", "f", "i", "I", "k", "K", "ß", "ẞ", "ſ", "\u212A", "ﬁ", "ﬀ", "ﬃ", "ﬆ", "İ", "ı", "\u0307", "é", "e\u0301", "1", "٣", "²", "½", "Ⅷ", "ⓐ", "_", "‿",
        " ", "\n", "\r\n", "\t", "\u0085", "\u00A0", "\u3000", "\u200D", "\u200B", "-", "'", "!", "$", "+", "]", "&", "中", "々", "ひ", "カ", "ー", "ि", "த", "\u20DD", "😀", "𝟗", "𐐀", "𐐨", "\U0001E900", "\U0001E922", "\u0378", "Σ", "ς", "µ", "Ǆ", "ǅ", "ΐ", "ΐ",
    ];

    [Fact]
    public void Ours_cuts_where_Oniguruma_cuts()
    {
        Assert.SkipUnless(Oniguruma.Unavailable is null, Oniguruma.Unavailable ?? "");
        var random = new Random(20);
        (int compared, int refused) = (0, 0);
        for (int i = 0; i < Patterns; i++)
        {
            string pattern = Alternatives(random, 3);
            CodePointRegex? ours = Ours(pattern);
            refused += ours is null ? 1 : 0;
            for (int j = 0; ours is not null && j < TextsEach; j++)
            {
                string text = string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => Pick(random, Characters)));
                if (Oniguruma.Matches(pattern, text) is { } matches)
                {
                    var expected = new SplitCollector();
                    matches.ForEach(match => expected.Add(match.Start, match.End));
                    var actual = new SplitCollector();
                    ours.Find(text, actual);
                    (string right, string found) = (Pieces(expected, text), Pieces(actual, text));
                    Assert.True(right == found, $"pattern {i}, {Show(pattern)}, on {Show(text)}: expected {Show(right)}, found {Show(found)}");
                    compared++;
                }
            }
        }

        Assert.True(compared > Patterns, $"only {compared} texts were compared, {refused} patterns refused");
    }

    private static string Show(string text) => string.Concat(text.EnumerateRunes().Select(r => r.Value is > 31 and < 127 ? r.ToString() : $"\\x{{{r.Value:X}}}"));

    private static CodePointRegex? Ours(string pattern)
    {
        try
        {
            return new(pattern);
        }
        catch (Exception e) when (e is NotSupportedException or ArgumentException)
        {
            return null;
        }
    }

    private static string Pieces(SplitCollector matches, string text)
    {
        List<ReadOnlyMemory<char>> pieces = [];
        matches.Finish(text.AsMemory(), SplitBehavior.Isolated, invert: false, pieces);
        return string.Join('|', pieces);
    }

    private static T Pick<T>(Random random, params IReadOnlyList<T> from) => from[random.Next(from.Count)];

    private static string Alternatives(Random random, int depth) =>
        string.Join('|', Enumerable.Range(0, random.Next(4) == 0 ? 2 : 1).Select(_ => Sequence(random, depth)));

    private static string Sequence(Random random, int depth)
    {
        var pattern = new StringBuilder();
        for (int parts = random.Next(1, 4); parts > 0; parts--)
        {
            pattern.Append(Atom(random, depth));
            if (random.Next(3) == 0)
                pattern.Append(Pick(random, "?", "*", "+", "??", "*?", "+?", "?+", "*+", "++", "{2}", "{1,2}", "{,2}", "{2,}", "{1,2}?", "{2}?", "{1,2}+", "{2}+"));
        }

        return pattern.ToString();
    }

    private static string Atom(Random random, int depth)
    {
        if (depth == 0 || random.Next(3) == 0)
            return Literal(random);
        string Inner() => Alternatives(random, depth - 1);
        return random.Next(17) switch
        {
            0 or 1 => Class(random, 2),
            2 or 3 => Set(random),
            4 => ".",
            5 => Pick(random, "^", "$", @"\A", @"\z", @"\Z"),
            6 => Pick(random, @"\b", @"\B"),
            7 => $"({Inner()})",
            8 => $"(?:{Inner()})",
            9 => $"(?>{Inner()})",
            10 => $"(?={Inner()})",
            11 => $"(?!{Inner()})",
            12 => $"(?<={Inner()})",
            13 => $"(?<!{Inner()})",
            14 => $"(?i:{Inner()})",
            15 => $"{Pick(random, "(?i)", "(?m)", "(?-i)", "(?i-m)")}{Inner()}",
            _ => Pick(random, @"\R", @"\N", @"\O", "(?#x)", "(?x: a b #c\n)", @"\x{1F600}", @"\u00e9"),
        };
    }

    private static string Set(Random random) => Pick(random,
        @"\w", @"\W", @"\d", @"\s", @"\S", @"\h", @"\p{L}", @"\p{Lu}", @"\P{N}", @"\p{^M}", @"\p{Han}", @"\p{Hiragana}", @"\p{Alphabetic}", @"\p{Word}", @"\p{In_Basic_Latin}", @"\p{Emoji}", @"\p{Punct}", @"\p{Cn}");

    private static string Literal(Random random)
    {
        string text = Pick(random, Characters);
        return text.Length == 1 && "]&'!-$+".Contains(text[0]) ? "\\" + text : text;
    }

    // Over UTF-16 Oniguruma mistakes the negation of a class within another where it has U+0000: of such classes only small ones are made.
    private static string Class(Random random, int depth, bool within = false)
    {
        if (within && random.Next(3) == 0)
            return $"[^{Literal(random)}]";
        var text = new StringBuilder(!within && random.Next(3) == 0 ? "[^" : "[");
        for (int parts = random.Next(1, 4); parts > 0; parts--)
        {
            text.Append(random.Next(depth > 0 ? 9 : 6) switch
            {
                0 => Pick(random, "a-f", "S-t", @"\t-\r", @"\x{100}-\x{2FFF}", @"\u0000-\u00ff", "😀-😂", @"!-\-", "1-3"),
                1 => Set(random),
                2 => Pick(random, "[:alpha:]", "[:^alpha:]", "[:punct:]", "[:word:]", "[:space:]", "[:upper:]", "[:digit:]"),
                6 => Class(random, depth - 1, within: true),
                7 => "&&" + Class(random, depth - 1, within: true),
                _ => Literal(random),
            });
        }

        return text.Append(']').ToString();
    }
}
