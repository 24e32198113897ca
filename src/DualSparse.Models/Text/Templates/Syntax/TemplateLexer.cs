using System.Text;

namespace DualSparse.Models.Text.Templates;

/// <summary>
/// Cuts a template into tokens, with white space around tags treated as transformers sets it up: a block's tag takes the line break after it
/// (<c>trim_blocks</c>) and the blanks before it on its line (<c>lstrip_blocks</c>), <c>-</c> takes all white space on its side, <c>+</c> none.
/// </summary>
internal sealed class TemplateLexer
{
    private static readonly string[] s_signs =
        ["**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"];

    private readonly string source;
    private readonly List<TemplateToken> tokens = [];
    private int position;

    // Whether the tag before ended with a line break, so that text begins a line.
    private bool atLineStart = true;

    private TemplateLexer(string source) => this.source = source;

    /// <summary>The source as positions count in it: line breaks are one character, and the last of them is not there.</summary>
    public static string Normalize(string source)
    {
        source = source.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');
        return source.EndsWith('\n') ? source[..^1] : source;
    }

    /// <summary>The tokens of a source that <see cref="Normalize"/> gave.</summary>
    public static List<TemplateToken> Read(string source)
    {
        var lexer = new TemplateLexer(source);
        while (lexer.position < source.Length)
            lexer.ReadTextAndTag();
        lexer.tokens.Add(new(TokenKind.End, "", source.Length));
        return lexer.tokens;
    }

    private void ReadTextAndTag()
    {
        int start = position, tag = FindTag(start);
        if (tag < 0)
        {
            Add(TokenKind.Text, source[start..], start);
            position = source.Length;
            return;
        }

        char kind = source[tag + 1];
        char sign = tag + 2 < source.Length && source[tag + 2] is '-' or '+' ? source[tag + 2] : ' ';
        string text = TrimBefore(source[start..tag], sign, isOutput: kind == '{');
        if (text.Length > 0)
            Add(TokenKind.Text, text, start);
        position = tag + (sign == ' ' ? 2 : 3);
        switch (kind)
        {
            case '#':
                ReadComment(tag);
                break;
            case '%' when RawBegin() is int end:
                position = end;
                ReadRaw(tag);
                break;
            case '%':
                Add(TokenKind.BlockBegin, "{%", tag);
                ReadCode(tag, '%', TokenKind.BlockEnd);
                break;
            default:
                Add(TokenKind.OutputBegin, "{{", tag);
                ReadCode(tag, '}', TokenKind.OutputEnd);
                break;
        }

        atLineStart = source[position - 1] == '\n';
    }

    private int FindTag(int from)
    {
        for (int at = from; (at = source.IndexOf('{', at)) >= 0 && at + 1 < source.Length; at++)
        {
            if (source[at + 1] is '{' or '%' or '#')
                return at;
        }

        return -1;
    }

    private string TrimBefore(string text, char sign, bool isOutput)
    {
        if (sign == '-')
            return text.TrimEnd(PythonSpaces);
        if (sign == '+' || isOutput)
            return text;
        int line = text.LastIndexOf('\n') + 1;
        return (line > 0 || atLineStart) && text.AsSpan(line).TrimEnd(PythonSpaces).IsEmpty ? text[..line] : text;
    }

    private void ReadComment(int tag)
    {
        // One that begins at the very end is none.
        int end = position == source.Length ? position - 2 : source.IndexOf("#}", position, StringComparison.Ordinal);
        if (end < 0)
            throw Error("the comment has no end '#}'", tag);
        char sign = end > position ? source[end - 1] : ' ';
        position = end + 2;
        TrimAfter(sign);
    }

    // Where the text of {% raw %} begins; null: it is another block.
    private int? RawBegin()
    {
        int at = SkipSpace(position);
        if (string.CompareOrdinal(source, at, "raw", 0, 3) != 0)
            return null;
        at = SkipSpace(at + 3);
        if (string.CompareOrdinal(source, at, "-%}", 0, 3) == 0)
            return SkipSpace(at + 3);
        return string.CompareOrdinal(source, at, "%}", 0, 2) == 0 ? at + 2 : null;
    }

    private void ReadRaw(int tag)
    {
        int start = position;
        atLineStart = source[start - 1] == '\n';
        for (int begin = start; (begin = source.IndexOf("{%", begin, StringComparison.Ordinal)) >= 0; begin++)
        {
            char sign = begin + 2 < source.Length && source[begin + 2] is '-' or '+' ? source[begin + 2] : ' ';
            int at = SkipSpace(begin + (sign == ' ' ? 2 : 3));
            if (string.CompareOrdinal(source, at, "endraw", 0, 6) != 0)
                continue;
            at = SkipSpace(at + 6);
            char after = at < source.Length && source[at] is '-' or '+' ? source[at] : ' ';
            at += after == ' ' ? 0 : 1;
            if (string.CompareOrdinal(source, at, "%}", 0, 2) != 0)
                continue;
            string text = TrimBefore(source[start..begin], sign, isOutput: false);
            if (text.Length > 0)
                Add(TokenKind.Text, text, start);
            position = at + 2;
            TrimAfter(after);
            return;
        }

        if (start < source.Length)
            throw Error("the block 'raw' has no end", tag);
    }

    private void ReadCode(int tag, char close, TokenKind end)
    {
        Stack<char> open = [];
        while (true)
        {
            position = SkipSpace(position);
            if (position >= source.Length)
                throw Error($"the tag has no end '{close}}}'", tag);
            if (open.Count == 0 && ReadEnd(close, end))
                return;
            char c = source[position];
            if (char.IsAsciiDigit(c))
                ReadNumber();
            else if (c == '_' || char.IsLetter(c))
                ReadName();
            else if (c is '\'' or '"')
                ReadString(c);
            else
                ReadSign(open);
        }
    }

    private bool ReadEnd(char close, TokenKind end)
    {
        char sign = source[position] is '-' or '+' && !(source[position] == '+' && close == '}') ? source[position] : ' ';
        int at = position + (sign == ' ' ? 0 : 1);
        if (at + 1 >= source.Length || source[at] != close || source[at + 1] != '}')
            return false;
        Add(end, source[at..(at + 2)], position);
        position = at + 2;
        if (sign == '-' || close == '%')
            TrimAfter(sign);
        return true;
    }

    // After a block's or a comment's tag.
    private void TrimAfter(char sign)
    {
        if (sign == '-')
            position = SkipSpace(position);
        else if (sign != '+' && position < source.Length && source[position] == '\n')
            position++;
    }

    private void ReadNumber()
    {
        int start = position;
        if (source[position] == '0' && position + 1 < source.Length && char.ToLowerInvariant(source[position + 1]) is 'x' or 'o' or 'b')
        {
            position += 2;
            while (position < source.Length && (char.IsAsciiHexDigit(source[position]) || source[position] == '_'))
                position++;
            Add(TokenKind.Integer, source[start..position], start);
            return;
        }

        SkipDigits();
        var kind = TokenKind.Integer;
        if (position + 1 < source.Length && source[position] == '.' && char.IsAsciiDigit(source[position + 1]) && !(start > 0 && source[start - 1] == '.'))
        {
            kind = TokenKind.Float;
            position++;
            SkipDigits();
        }

        if (position < source.Length && source[position] is 'e' or 'E')
        {
            int digits = position + (position + 1 < source.Length && source[position + 1] is '+' or '-' ? 2 : 1);
            if (digits < source.Length && char.IsAsciiDigit(source[digits]))
            {
                (kind, position) = (TokenKind.Float, digits);
                SkipDigits();
            }
        }

        string number = source[start..position].Replace("_", "", StringComparison.Ordinal);
        if (kind == TokenKind.Integer && number[0] == '0' && number.AsSpan().IndexOfAnyExcept('0') >= 0)
            throw Error($"a whole number may not begin with 0, as '{JsonField.Shorten(number)}' does", start);
        Add(kind, number, start);
    }

    private void SkipDigits()
    {
        while (position < source.Length && (char.IsAsciiDigit(source[position]) || (source[position] == '_' && position + 1 < source.Length && char.IsAsciiDigit(source[position + 1]))))
            position++;
    }

    private void ReadName()
    {
        int start = position;
        while (position < source.Length && (source[position] == '_' || char.IsLetterOrDigit(source[position])))
            position++;
        Add(TokenKind.Name, source[start..position], start);
    }

    private void ReadString(char quote)
    {
        int start = position++;
        var text = new StringBuilder();
        while (position < source.Length && source[position] != quote)
        {
            if (source[position] == '\\' && position + 1 < source.Length)
                position += StringEscape.Read(source, position, text);
            else
                text.Append(source[position++]);
        }

        if (position++ >= source.Length)
            throw Error("the string has no end", start);
        Add(TokenKind.String, text.ToString(), start);
    }

    private void ReadSign(Stack<char> open)
    {
        string sign = s_signs.FirstOrDefault(s => string.CompareOrdinal(source, position, s, 0, s.Length) == 0)
            ?? throw Error($"unexpected character '{source[position]}'", position);
        if (sign is "(" or "[" or "{")
            open.Push(sign == "(" ? ')' : sign == "[" ? ']' : '}');
        else if (sign is ")" or "]" or "}" && (open.Count == 0 || open.Pop() != sign[0]))
            throw Error($"unexpected '{sign}'", position);
        Add(TokenKind.Sign, sign, position);
        position += sign.Length;
    }

    private int SkipSpace(int at)
    {
        while (at < source.Length && PythonText.IsSpace(source[at]))
            at++;
        return at;
    }

    private void Add(TokenKind kind, string text, int at) => tokens.Add(new(kind, text, at));

    private static TemplateError Error(string message, int position) => new(message) { Position = position };

    private static readonly char[] PythonSpaces = [.. Enumerable.Range(0, char.MaxValue).Select(c => (char)c).Where(PythonText.IsSpace)];
}
