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

    private readonly string _source;
    private readonly StringBuilder _output = new();
    private readonly Stack<(int Start, bool IgnoreCase)> _groups = [];
    private readonly List<(int First, int Last)> _literals = [];
    private int _at;
    private int _atom;
    private bool _ignoreCase;

    private RegexTranslator(string source) => _source = source;

    /// <summary>Rewrites <paramref name="source"/>.</summary>
    /// <returns>The pattern for .NET and the characters that it names one by one or by range (rather than by category).</returns>
    public static (string Pattern, IReadOnlyList<(int First, int Last)> Literals) Translate(string source)
    {
        var translator = new RegexTranslator(source);
        translator.Run();
        return (translator._output.ToString(), translator._literals);
    }

    private void Run()
    {
        while (_at < _source.Length)
        {
            char c = _source[_at];
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
                    _output.Append(c);
                    _at++;
                    Possessive();
                    break;
                case '{' when IntervalLength() is int length and > 0:
                    _output.Append(_source, _at, length);
                    _at += length;
                    RepeatedInterval();
                    break;
                case '|' or '^' or '$' or '.':
                    BeginAtom();
                    _output.Append(c);
                    _at++;
                    break;
                default:
                    BeginAtom();
                    Literal(c);
                    break;
            }
        }
    }

    private void BeginAtom() => _atom = _output.Length;

    private void Open()
    {
        _groups.Push((_output.Length, _ignoreCase));
        _output.Append('(');
        _at++;
        if (_at >= _source.Length || _source[_at] != '?')
        {
            return;
        }

        // Flags: what Ruby calls m (a dot matches a line end) is s in .NET.
        int end = _at + 1;
        bool on = true;
        bool ignoreCase = _ignoreCase;
        while (end < _source.Length && _source[end] is 'i' or 'm' or 'x' or '-')
        {
            on &= _source[end] != '-';
            ignoreCase = _source[end] == 'i' ? on : ignoreCase;
            end++;
        }

        if (end < _source.Length && end > _at + 1 && _source[end] is ':' or ')')
        {
            string flags = _source[_at..end];
            if (flags.Contains('x'))
            {
                throw new NotSupportedException("the extended syntax (?x)");
            }

            _output.Append(flags.Replace('m', 's'));
            if (_source[end] == ')')
            {
                _groups.Pop();
                _output.Append(')');
                end++;
            }

            _ignoreCase = ignoreCase;
            _at = end;
        }
    }

    private void Close()
    {
        _output.Append(')');
        _at++;
        if (_groups.TryPop(out (int Start, bool IgnoreCase) group))
        {
            (_atom, _ignoreCase) = group;
        }
    }

    /// <summary>A quantifier with + behind it never gives back what it took: an atomic group.</summary>
    private void Possessive()
    {
        if (_at < _source.Length && _source[_at] == '+')
        {
            _output.Insert(_atom, "(?>").Append(')');
            _at++;
        }
        else if (_at < _source.Length && _source[_at] == '?')
        {
            _output.Append('?');
            _at++;
        }
    }

    /// <summary>In this syntax {n,m}+ isn't possessive: it repeats the interval.</summary>
    private void RepeatedInterval()
    {
        if (_at < _source.Length && _source[_at] == '+')
        {
            _output.Insert(_atom, "(?:").Append(")+");
            _at++;
        }
    }

    private int IntervalLength()
    {
        int end = _at + 1;
        while (end < _source.Length && (char.IsAsciiDigit(_source[end]) || _source[end] == ','))
        {
            end++;
        }

        return end < _source.Length && _source[end] == '}' && end > _at + 1 ? end + 1 - _at : 0;
    }

    private void Class()
    {
        _output.Append('[');
        _at++;
        if (_at < _source.Length && _source[_at] == '^')
        {
            _output.Append('^');
            _at++;
        }

        int first = _at;
        int firstLiteral = _literals.Count;
        int previous = -1;
        bool range = false;
        while (_at < _source.Length && (_source[_at] != ']' || _at == first))
        {
            char c = _source[_at];
            int value = -1;
            if (c == '[')
            {
                throw new NotSupportedException("a character class within another");
            }
            else if (c == '&' && _at + 1 < _source.Length && _source[_at + 1] == '&')
            {
                throw new NotSupportedException("the intersection of character classes");
            }
            else if (c == '\\')
            {
                value = Escape(inClass: true);
            }
            else if (c == '-' && previous >= 0 && !range && _at + 1 < _source.Length && _source[_at + 1] != ']')
            {
                range = true;
                _output.Append('-');
                _at++;
                continue;
            }
            else
            {
                value = c;
                Refuse(c);
                _output.Append(c == '-' ? "\\-" : c.ToString());
                _at++;
            }

            if (value >= 0)
            {
                _literals.Add((range ? previous : value, value));
            }

            previous = range ? -1 : value;
            range = false;
        }

        if (_ignoreCase && _literals.Skip(firstLiteral).Any(r => r is { First: <= 's', Last: >= 's' } or { First: <= 'S', Last: >= 'S' }))
        {
            _output.Append(LongS);
        }

        if (_at < _source.Length)
        {
            _output.Append(']');
            _at++;
        }
    }

    /// <summary>Copies one escape.</summary>
    /// <returns>The character that it names, or -1 where it names a set or a position.</returns>
    private int Escape(bool inClass)
    {
        if (_at + 1 >= _source.Length)
        {
            throw new NotSupportedException("a backslash at the end");
        }

        char kind = _source[_at + 1];
        int start = _at;
        _at += 2;
        switch (kind)
        {
            case 'h' when !inClass:
                _output.Append("[0-9A-Fa-f]");
                return -1;
            case 'p' or 'P':
                int close = _source.IndexOf('}', _at);
                if (_at >= _source.Length || _source[_at] != '{' || close < 0)
                {
                    throw new NotSupportedException($"\\{kind} without a name in braces");
                }

                string name = _source[(_at + 1)..close];
                bool negated = (kind == 'P') != name.StartsWith('^');
                _output.Append(negated ? "\\P{" : "\\p{").Append(name.TrimStart('^')).Append('}');
                _at = close + 1;
                return -1;
            case 'x' or 'u':
                return Hexadecimal(kind);
            case 'h' or 'H' or 'R' or 'X' or 'K' or 'G' or 'g' or 'y' or 'Y' or 'N' or 'O':
                throw new NotSupportedException($"\\{kind}");
            default:
                _output.Append(_source, start, 2);
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
        bool braces = _at < _source.Length && _source[_at] == '{';
        int start = braces ? _at + 1 : _at;
        int most = braces ? 8 : kind == 'x' ? 2 : 4;
        int end = start;
        while (end < _source.Length && end - start < most && char.IsAsciiHexDigit(_source[end]))
        {
            end++;
        }

        if (!int.TryParse(_source.AsSpan(start, end - start), NumberStyles.AllowHexSpecifier, null, out int value)
            || (braces && (end >= _source.Length || _source[end] != '}')))
        {
            throw new NotSupportedException($"\\{kind} without a hexadecimal number");
        }

        if (value > char.MaxValue || value < 0)
        {
            throw new NotSupportedException($"the character U+{value:X} beyond U+FFFF");
        }

        _at = braces ? end + 1 : end;
        _literals.Add((value, value));
        _output.Append($"\\u{value:X4}");
        return value;
    }

    private void Literal(char c)
    {
        Refuse(c);
        _literals.Add((c, c));
        _output.Append(_ignoreCase && c is ('s' or 'S') ? $"[{c}{LongS}]" : c.ToString());
        _at++;
    }

    private static void Refuse(char c)
    {
        if (char.IsSurrogate(c))
        {
            throw new NotSupportedException("a character beyond U+FFFF");
        }
    }
}
