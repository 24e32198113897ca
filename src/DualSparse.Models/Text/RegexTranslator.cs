using System.Globalization;
using System.Text;

namespace DualSparse.Models.Text;

/// <summary>
/// Rewrites a pattern of tokenizer.json (Oniguruma's Ruby syntax) for .NET. What .NET would read differently and can't express
/// is refused with <see cref="NotSupportedException"/>.
/// </summary>
internal sealed class RegexTranslator
{
    // Full case folding takes the long s for an s; .NET's table doesn't.
    private const char LongS = '\u017F';

    private readonly string source;
    private readonly StringBuilder output = new();
    private readonly Stack<(int Start, bool IgnoreCase)> groups = [];
    private readonly List<(int First, int Last)> literals = [];
    private int at;
    private int atom;
    private bool ignoreCase;

    private RegexTranslator(string source) => this.source = source;

    /// <summary>Rewrites <paramref name="source"/>.</summary>
    /// <returns>The pattern for .NET and the characters that it names one by one or by range (rather than by category).</returns>
    public static (string Pattern, IReadOnlyList<(int First, int Last)> Literals) Translate(string source)
    {
        var translator = new RegexTranslator(source);
        translator.Run();
        return (translator.output.ToString(), translator.literals);
    }

    private void Run()
    {
        while (at < source.Length)
        {
            char c = source[at];
            switch (c)
            {
                case '(':
                    Open();
                    break;
                case ')':
                    Close();
                    break;
                case '[':
                    BeginAtom();
                    Class();
                    break;
                case '\\':
                    BeginAtom();
                    Escape(inClass: false);
                    break;
                case '?' or '*' or '+':
                    output.Append(c);
                    at++;
                    Possessive();
                    break;
                case '{' when IntervalLength() is int length and > 0:
                    // .NET takes {,n} for text, and {n}? for lazy where here the whole may be left out.
                    string interval = source.Substring(at, length);
                    output.Append(interval.StartsWith("{,", StringComparison.Ordinal) ? "{0" + interval[1..] : interval);
                    at += length;
                    RepeatedInterval(exact: !interval.Contains(','));
                    break;
                case '|' or '^' or '$' or '.':
                    BeginAtom();
                    output.Append(c);
                    at++;
                    break;
                default:
                    BeginAtom();
                    Literal(c);
                    break;
            }
        }
    }

    private void BeginAtom() => atom = output.Length;

    private void Open()
    {
        groups.Push((output.Length, ignoreCase));
        output.Append('(');
        at++;
        if (at >= source.Length || source[at] != '?')
        {
            return;
        }

        // Flags: what Ruby calls m (a dot matches a line end) is s in .NET.
        int end = at + 1;
        bool on = true;
        bool ignores = ignoreCase;
        while (end < source.Length && source[end] is 'i' or 'm' or 'x' or '-')
        {
            on &= source[end] != '-';
            ignores = source[end] == 'i' ? on : ignores;
            end++;
        }

        if (end < source.Length && end > at + 1 && source[end] is ':' or ')')
        {
            string flags = source[at..end];
            if (flags.Contains('x'))
            {
                throw new NotSupportedException("the extended syntax (?x)");
            }

            output.Append(flags.Replace('m', 's'));
            if (source[end] == ')')
            {
                groups.Pop();
                output.Append(')');
                end++;
            }

            ignoreCase = ignores;
            at = end;
        }
    }

    private void Close()
    {
        output.Append(')');
        at++;
        if (groups.TryPop(out (int Start, bool IgnoreCase) group))
        {
            (atom, ignoreCase) = group;
        }
    }

    /// <summary>A quantifier with + behind it never gives back what it took: an atomic group.</summary>
    private void Possessive()
    {
        if (at < source.Length && source[at] == '+')
        {
            output.Insert(atom, "(?>").Append(')');
            at++;
        }
        else if (at < source.Length && source[at] == '?')
        {
            output.Append('?');
            at++;
        }
    }

    /// <summary>In this syntax {n,m}+ isn't possessive: it repeats the interval. And the ? of {n}? is a quantifier of its own.</summary>
    private void RepeatedInterval(bool exact)
    {
        if (exact && at < source.Length && source[at] == '?')
        {
            output.Insert(atom, "(?:").Append(')');
            return;
        }

        if (at < source.Length && source[at] == '+')
        {
            output.Insert(atom, "(?:").Append(")+");
            at++;
        }
    }

    private int IntervalLength()
    {
        int end = source.IndexOf('}', at);
        if (end < 0)
            return 0;
        string[] bounds = source[(at + 1)..end].Split(',');
        return bounds.Length <= 2 && bounds.Any(b => b.Length > 0) && bounds.All(b => b.All(char.IsAsciiDigit)) ? end + 1 - at : 0;
    }

    private void Class()
    {
        output.Append('[');
        at++;
        if (at < source.Length && source[at] == '^')
        {
            output.Append('^');
            at++;
        }

        int first = at;
        int firstLiteral = literals.Count;
        int previous = -1;
        bool range = false;
        while (at < source.Length && (source[at] != ']' || at == first))
        {
            char c = source[at];
            int value = -1;
            if (c == '[')
            {
                throw new NotSupportedException("a character class within another");
            }
            else if (c == '&' && at + 1 < source.Length && source[at + 1] == '&')
            {
                throw new NotSupportedException("the intersection of character classes");
            }
            else if (c == '\\')
            {
                value = Escape(inClass: true);
            }
            else if (c == '-' && previous >= 0 && !range && at + 1 < source.Length && source[at + 1] != ']')
            {
                range = true;
                output.Append('-');
                at++;
                continue;
            }
            else
            {
                value = c;
                Refuse(c);
                output.Append(c == '-' ? "\\-" : c.ToString());
                at++;
            }

            if (value >= 0)
            {
                literals.Add((range ? previous : value, value));
            }

            previous = range ? -1 : value;
            range = false;
        }

        if (ignoreCase && literals.Skip(firstLiteral).Any(r => r is { First: <= 's', Last: >= 's' } or { First: <= 'S', Last: >= 'S' }))
        {
            output.Append(LongS);
        }

        if (at < source.Length)
        {
            output.Append(']');
            at++;
        }
    }

    /// <summary>Copies one escape.</summary>
    /// <returns>The character that it names, or -1 where it names a set or a position.</returns>
    private int Escape(bool inClass)
    {
        if (at + 1 >= source.Length)
        {
            throw new NotSupportedException("a backslash at the end");
        }

        char kind = source[at + 1];
        int start = at;
        at += 2;
        switch (kind)
        {
            case 'h' when !inClass:
                output.Append("[0-9A-Fa-f]");
                return -1;
            case 'p' or 'P':
                int close = source.IndexOf('}', at);
                if (at >= source.Length || source[at] != '{' || close < 0)
                {
                    throw new NotSupportedException($"\\{kind} without a name in braces");
                }

                string name = source[(at + 1)..close];
                bool negated = (kind == 'P') != name.StartsWith('^');
                output.Append(negated ? "\\P{" : "\\p{").Append(name.TrimStart('^')).Append('}');
                at = close + 1;
                return -1;
            case 'x' or 'u':
                return Hexadecimal(kind);
            case 'h' or 'H' or 'R' or 'X' or 'K' or 'G' or 'g' or 'y' or 'Y' or 'N' or 'O':
                throw new NotSupportedException($"\\{kind}");
            default:
                output.Append(source, start, 2);
                return kind switch
                {
                    't' => '\t',
                    'n' => '\n',
                    'r' => '\r',
                    _ when char.IsAsciiLetterOrDigit(kind) => -1,
                    _ => kind,
                };
        }
    }

    private int Hexadecimal(char kind)
    {
        bool braces = at < source.Length && source[at] == '{';
        int start = braces ? at + 1 : at;
        int most = braces ? 8 : kind == 'x' ? 2 : 4;
        int end = start;
        while (end < source.Length && end - start < most && char.IsAsciiHexDigit(source[end]))
        {
            end++;
        }

        if (!int.TryParse(source.AsSpan(start, end - start), NumberStyles.AllowHexSpecifier, null, out int value)
            || (braces && (end >= source.Length || source[end] != '}')))
        {
            throw new NotSupportedException($"\\{kind} without a hexadecimal number");
        }

        if (value > char.MaxValue || value < 0)
        {
            throw new NotSupportedException($"the character U+{value:X} beyond U+FFFF");
        }

        at = braces ? end + 1 : end;
        literals.Add((value, value));
        output.Append($"\\u{value:X4}");
        return value;
    }

    private void Literal(char c)
    {
        Refuse(c);
        literals.Add((c, c));
        output.Append(ignoreCase && c is ('s' or 'S') ? $"[{c}{LongS}]" : c.ToString());
        at++;
    }

    private static void Refuse(char c)
    {
        if (char.IsSurrogate(c))
        {
            throw new NotSupportedException("a character beyond U+FFFF");
        }
    }
}
