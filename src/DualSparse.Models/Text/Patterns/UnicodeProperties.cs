using System.Collections.Concurrent;
using System.Globalization;

namespace DualSparse.Models.Text.Patterns;

/// <summary>What a pattern may call a set of characters: general categories, scripts, blocks, other properties, POSIX brackets.</summary>
internal static class UnicodeProperties
{
    private static readonly Lazy<CodePointSet[]> Categories = new(ScanCategories);

    private static readonly ConcurrentDictionary<string, CodePointSet?> Known = new(StringComparer.Ordinal);

    private static readonly Lazy<CodePointSet> BareWords = new(() => Word.Union(CodePointSet.Of(0xB2, 0xB3, 0xB9, 0xBC, 0xBD, 0xBE)));

    // Abbreviation, name, .NET's categories.
    private static readonly Dictionary<string, UnicodeCategory[]> CategoryNames = Names(
        ("l letter", [UnicodeCategory.UppercaseLetter, UnicodeCategory.LowercaseLetter, UnicodeCategory.TitlecaseLetter, UnicodeCategory.ModifierLetter, UnicodeCategory.OtherLetter]),
        ("lc casedletter", [UnicodeCategory.UppercaseLetter, UnicodeCategory.LowercaseLetter, UnicodeCategory.TitlecaseLetter]),
        ("lu uppercaseletter", [UnicodeCategory.UppercaseLetter]),
        ("ll lowercaseletter", [UnicodeCategory.LowercaseLetter]),
        ("lt titlecaseletter", [UnicodeCategory.TitlecaseLetter]),
        ("lm modifierletter", [UnicodeCategory.ModifierLetter]),
        ("lo otherletter", [UnicodeCategory.OtherLetter]),
        ("m mark combiningmark", [UnicodeCategory.NonSpacingMark, UnicodeCategory.SpacingCombiningMark, UnicodeCategory.EnclosingMark]),
        ("mn nonspacingmark", [UnicodeCategory.NonSpacingMark]),
        ("mc spacingmark", [UnicodeCategory.SpacingCombiningMark]),
        ("me enclosingmark", [UnicodeCategory.EnclosingMark]),
        ("n number", [UnicodeCategory.DecimalDigitNumber, UnicodeCategory.LetterNumber, UnicodeCategory.OtherNumber]),
        ("nd decimalnumber digit", [UnicodeCategory.DecimalDigitNumber]),
        ("nl letternumber", [UnicodeCategory.LetterNumber]),
        ("no othernumber", [UnicodeCategory.OtherNumber]),
        ("z separator", [UnicodeCategory.SpaceSeparator, UnicodeCategory.LineSeparator, UnicodeCategory.ParagraphSeparator]),
        ("zs spaceseparator", [UnicodeCategory.SpaceSeparator]),
        ("zl lineseparator", [UnicodeCategory.LineSeparator]),
        ("zp paragraphseparator", [UnicodeCategory.ParagraphSeparator]),
        ("c other", [UnicodeCategory.Control, UnicodeCategory.Format, UnicodeCategory.Surrogate, UnicodeCategory.PrivateUse, UnicodeCategory.OtherNotAssigned]),
        ("cc control cntrl", [UnicodeCategory.Control]),
        ("cf format", [UnicodeCategory.Format]),
        ("cs surrogate", [UnicodeCategory.Surrogate]),
        ("co privateuse", [UnicodeCategory.PrivateUse]),
        ("cn unassigned", [UnicodeCategory.OtherNotAssigned]),
        ("p punctuation punct", [UnicodeCategory.ConnectorPunctuation, UnicodeCategory.DashPunctuation, UnicodeCategory.OpenPunctuation, UnicodeCategory.ClosePunctuation, UnicodeCategory.InitialQuotePunctuation, UnicodeCategory.FinalQuotePunctuation, UnicodeCategory.OtherPunctuation]),
        ("pc connectorpunctuation", [UnicodeCategory.ConnectorPunctuation]),
        ("pd dashpunctuation", [UnicodeCategory.DashPunctuation]),
        ("ps openpunctuation", [UnicodeCategory.OpenPunctuation]),
        ("pe closepunctuation", [UnicodeCategory.ClosePunctuation]),
        ("pi initialpunctuation", [UnicodeCategory.InitialQuotePunctuation]),
        ("pf finalpunctuation", [UnicodeCategory.FinalQuotePunctuation]),
        ("po otherpunctuation", [UnicodeCategory.OtherPunctuation]),
        ("s symbol", [UnicodeCategory.MathSymbol, UnicodeCategory.CurrencySymbol, UnicodeCategory.ModifierSymbol, UnicodeCategory.OtherSymbol]),
        ("sm mathsymbol", [UnicodeCategory.MathSymbol]),
        ("sc currencysymbol", [UnicodeCategory.CurrencySymbol]),
        ("sk modifiersymbol", [UnicodeCategory.ModifierSymbol]),
        ("so othersymbol", [UnicodeCategory.OtherSymbol]));

    /// <summary>White space: Unicode's White_Space.</summary>
    public static CodePointSet Space => Get("whitespace");

    /// <summary>What \w is within brackets: letters in the wide sense, marks, decimal digits, connectors.</summary>
    public static CodePointSet Word => Get("word");

    /// <summary>
    /// What \w is outside brackets, and what \b looks for. Oniguruma takes characters below U+0100 from a table of its own there,
    /// which has the superscript digits and the fractions as well.
    /// </summary>
    public static CodePointSet BareWord => BareWords.Value;

    /// <summary>
    /// What the pre-tokenizer Punctuation takes for punctuation: ASCII's, and category P as it was in Unicode 8, which the library has
    /// kept for this.
    /// </summary>
    public static CodePointSet OldPunctuation => UnicodeTable.Instance.Property("_punctuation8")!;

    /// <summary>The set that \p{<paramref name="name"/>} is within brackets; null where no such name is known.</summary>
    public static CodePointSet? Find(string name)
    {
        string key = string.Concat(name.Where(c => c is not (' ' or '-' or '_'))).ToLowerInvariant();
        return Known.GetOrAdd(key, Compute);
    }

    /// <summary>The set that the POSIX bracket [:<paramref name="name"/>:] is; null where there is none.</summary>
    public static CodePointSet? FindPosix(string name) => name switch
    {
        "punct" => Get("p").Union(Get("s")),
        "alpha" or "alnum" or "ascii" or "blank" or "cntrl" or "digit" or "graph" or "lower" or "print" or "space" or "upper" or "word" or "xdigit" => Get(name),
        _ => null,
    };

    private static CodePointSet Get(string key) => Find(key)!;

    private static CodePointSet? Compute(string key) => key switch
    {
        "any" => CodePointSet.All,
        "ascii" => CodePointSet.Range(0, 0x7F),
        "assigned" => Get("cn").Complement(),
        "xdigit" => CodePointSet.OfRanges([('0', '9'), ('A', 'F'), ('a', 'f')]),
        "lower" or "lowercase" => Get("ll").Union(Get("otherlowercase")),
        "upper" or "uppercase" => Get("lu").Union(Get("otheruppercase")),
        "alpha" or "alphabetic" => Get("l").Union(Get("nl")).Union(Get("otheralphabetic")).Union(Get("lower")).Union(Get("upper")),
        "alnum" => Get("alpha").Union(Get("nd")),
        "word" => Get("alpha").Union(Get("m")).Union(Get("nd")).Union(Get("pc")),
        "space" => Get("whitespace"),
        "blank" => Get("zs").Union(CodePointSet.Of('\t')),
        "graph" => Get("whitespace").Union(Get("cc")).Union(Get("cn")).Union(Get("cs")).Complement(),
        "print" => Get("graph").Union(Get("zs")),
        "math" => Get("sm").Union(Get("othermath")),
        _ when CategoryNames.TryGetValue(key, out UnicodeCategory[]? categories) =>
            categories.Aggregate(CodePointSet.None, (set, category) => set.Union(Categories.Value[(int)category])),
        _ => UnicodeTable.Instance.Property(key),
    };

    private static Dictionary<string, UnicodeCategory[]> Names(params (string Names, UnicodeCategory[] Categories)[] rows) =>
        rows.SelectMany(row => row.Names.Split(' ').Select(name => (name, row.Categories))).ToDictionary();

    private static CodePointSet[] ScanCategories()
    {
        var ranges = new List<(int, int)>[(int)UnicodeCategory.OtherNotAssigned + 1];
        for (int i = 0; i < ranges.Length; i++)
        {
            ranges[i] = [];
        }

        int first = 0;
        UnicodeCategory current = CharUnicodeInfo.GetUnicodeCategory(0);
        for (int code = 1; code <= 0x110000; code++)
        {
            UnicodeCategory next = code < 0x110000 ? CharUnicodeInfo.GetUnicodeCategory(code) : (UnicodeCategory)(-1);
            if (next != current)
            {
                ranges[(int)current].Add((first, code - 1));
                (first, current) = (code, next);
            }
        }

        return [.. ranges.Select(CodePointSet.OfRanges)];
    }
}
