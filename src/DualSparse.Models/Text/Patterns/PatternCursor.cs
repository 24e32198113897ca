using System.Globalization;
using System.Text;

namespace DualSparse.Models.Text.Patterns;

/// <summary>Reads a pattern's characters, and the escapes that both a pattern and a class have.</summary>
internal sealed class PatternCursor(string source)
{
    private const int MaxCode = 0x10FFFF;

    private readonly int[] codes = [.. source.EnumerateRunes().Select(rune => rune.Value)];

    /// <summary>The place of the next character.</summary>
    public int At { get; set; }

    /// <summary>Whether nothing is left.</summary>
    public bool AtEnd => At >= codes.Length;

    /// <summary>The next character, or -1 at the end.</summary>
    public int Next => Peek(0);

    /// <summary>The character <paramref name="offset"/> places on, or -1 after the end.</summary>
    public int Peek(int offset) => At + offset < codes.Length ? codes[At + offset] : -1;

    /// <summary>Takes the next character.</summary>
    public int Take() => codes[At++];

    /// <summary>Takes <paramref name="text"/> where it comes next.</summary>
    public bool Take(string text)
    {
        if (!StartsWith(text))
            return false;
        At += text.Length;
        return true;
    }

    /// <summary>Whether <paramref name="text"/> comes next.</summary>
    public bool StartsWith(string text) => text.Select((c, i) => Peek(i) == c).All(same => same);

    /// <summary>Takes what stands before <paramref name="end"/>, and that as well; null where it doesn't come.</summary>
    public string? TakeUntil(char end)
    {
        int found = Array.IndexOf(codes, end, At);
        if (found < 0)
            return null;
        string text = string.Concat(codes[At..found].Select(code => new Rune(code)));
        At = found + 1;
        return text;
    }

    /// <summary>Takes as many decimal digits as come; null where none does.</summary>
    public int? TakeNumber()
    {
        long value = 0;
        int start = At;
        for (; Next is >= '0' and <= '9'; At++)
        {
            value = Math.Min((value * 10) + Next - '0', int.MaxValue);
        }

        return At > start ? (int)value : null;
    }

    /// <summary>
    /// Takes what a backslash and <paramref name="kind"/>, both taken, begin: a set within <paramref name="inClass"/> or outside of it,
    /// or else a character. Everything that isn't one of the two is refused or, outside, the caller's.
    /// </summary>
    public (CodePointSet? Set, int Code) TakeEscape(int kind, bool inClass)
    {
        CodePointSet word = inClass ? UnicodeProperties.Word : UnicodeProperties.BareWord;
        return kind switch
        {
            'w' => (word, -1),
            'W' => (word.Complement(), -1),
            'd' => (UnicodeProperties.Find("nd"), -1),
            'D' => (UnicodeProperties.Find("nd")!.Complement(), -1),
            's' => (UnicodeProperties.Space, -1),
            'S' => (UnicodeProperties.Space.Complement(), -1),
            'h' => (UnicodeProperties.Find("xdigit"), -1),
            'H' => (UnicodeProperties.Find("xdigit")!.Complement(), -1),
            'p' or 'P' when Next == '{' => (TakeProperty(negated: kind == 'P', inClass), -1),
            't' => (null, '\t'),
            'n' => (null, '\n'),
            'r' => (null, '\r'),
            'f' => (null, '\f'),
            'v' => (null, '\v'),
            'a' => (null, '\a'),
            'e' => (null, '\e'),
            'x' or 'u' or 'o' => (null, TakeCode((char)kind)),
            'c' or 'C' or 'M' or 'N' or 'O' or 'g' or 'k' or 'K' or 'G' or 'X' or 'y' or 'Y' or 'R' when !inClass || kind is 'c' or 'C' or 'M' or 'N' or 'O' =>
                throw new NotSupportedException($"\\{(char)kind}"),
            >= '0' and <= '9' => throw new NotSupportedException($"\\{(char)kind} (a backreference or an octal number)"),
            _ => (null, kind),
        };
    }

    private CodePointSet TakeProperty(bool negated, bool inClass)
    {
        At++;
        string name = TakeUntil('}') ?? throw new ArgumentException("a property without a closing brace");
        negated ^= name.StartsWith('^');
        CodePointSet? set = UnicodeProperties.Find(name.TrimStart('^'));
        if (!inClass && ReferenceEquals(set, UnicodeProperties.Word))
            set = UnicodeProperties.BareWord;
        return set is null ? throw new NotSupportedException($"the property \\p{{{name}}}") : negated ? set.Complement() : set;
    }

    private int TakeCode(char kind)
    {
        bool braces = kind != 'u' && Next == '{';
        string digits = braces
            ? TakeBraces(kind)
            : kind == 'o' ? throw new NotSupportedException("\\o without braces")
            : string.Concat(Enumerable.Range(0, kind == 'x' ? 2 : 4).Select(Peek).TakeWhile(c => c is >= 0 and < 128 && char.IsAsciiHexDigit((char)c)).Select(c => (char)c));
        At += braces ? 0 : digits.Length;
        int code = Parse(digits, kind == 'o' ? 8 : 16);
        if (code < 0 || (kind == 'u' && digits.Length < 4))
            throw new NotSupportedException($"\\{kind}{(braces ? $"{{{digits}}}" : digits)}, which is not one character");
        return code < 0x80 || braces || kind == 'u'
            ? code
            : throw new NotSupportedException($"\\x{digits}, a byte of a character (write \\x{{{digits}}})");
    }

    private string TakeBraces(char kind)
    {
        At++;
        return TakeUntil('}') ?? throw new ArgumentException($"\\{kind} without a closing brace");
    }

    // The code point that the digits give, or -1. Eight hexadecimal or eleven octal digits are the most that the syntax takes.
    private static int Parse(string digits, int radix)
    {
        long value = -1;
        if (digits.Length > 0 && digits.Length <= (radix == 16 ? 8 : 11) && digits.All(radix == 16 ? char.IsAsciiHexDigit : c => c is >= '0' and <= '7'))
            value = radix == 16 ? long.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) : digits.Aggregate(0L, (sum, c) => (sum * 8) + c - '0');
        return value is < 0 or > MaxCode or (>= 0xD800 and <= 0xDFFF) ? -1 : (int)value;
    }
}
