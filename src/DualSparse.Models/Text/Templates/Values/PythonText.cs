using System.Globalization;
using System.Text;

namespace DualSparse.Models.Text.Templates;

/// <summary>What Python knows of characters, where .NET sees it otherwise.</summary>
internal static class PythonText
{
    /// <summary>White space, as <c>strip</c> and <c>split</c> take it: .NET's, and the four separators of ASCII.</summary>
    public static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\x1c' and <= '\x1f';

    /// <summary>Whether <c>repr</c> writes a character as it is.</summary>
    public static bool IsPrintable(Rune rune) => rune.Value == ' ' || Rune.GetUnicodeCategory(rune) is not (UnicodeCategory.Control or UnicodeCategory.Format
        or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.SpaceSeparator);

    /// <summary>Where the line that begins here ends, and where the next begins: <c>splitlines</c> knows ten ends of a line.</summary>
    public static (int End, int Next) Line(string text, int start)
    {
        int end = text.AsSpan(start).IndexOfAny("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029");
        if (end < 0)
            return (text.Length, text.Length);
        end += start;
        return (end, end + (text[end] == '\r' && end + 1 < text.Length && text[end + 1] == '\n' ? 2 : 1));
    }

    /// <summary>Letters made capital, some of which become two.</summary>
    public static string Upper(string text) => text.ToUpperInvariant().Replace("ß", "SS", StringComparison.Ordinal).Replace("ŉ", "ʼN", StringComparison.Ordinal)
        .Replace("ﬁ", "FI", StringComparison.Ordinal).Replace("ﬂ", "FL", StringComparison.Ordinal);

    /// <summary>Letters made small.</summary>
    public static string Lower(string text) => text.ToLowerInvariant().Replace("İ", "i̇", StringComparison.Ordinal);

    /// <summary>The text with its first letter capital and the others small.</summary>
    public static string Capitalize(string text)
    {
        if (text.Length == 0)
            return text;
        int first = char.IsHighSurrogate(text[0]) && text.Length > 1 ? 2 : 1;
        return (text[0] == 'ß' ? "Ss" : Upper(text[..first])) + Lower(text[first..]);
    }

    /// <summary>Each run of letters with its first one capital, as the method <c>title</c> does.</summary>
    public static string Title(string text)
    {
        var result = new StringBuilder(text.Length);
        bool inWord = false;
        foreach (var rune in text.EnumerateRunes())
        {
            string letter = rune.ToString();
            result.Append(inWord ? Lower(letter) : Upper(letter));
            inWord = IsCased(rune);
        }

        return result.ToString();
    }

    /// <summary>Capital letters made small and the other way round.</summary>
    public static string SwapCase(string text) => string.Concat(text.EnumerateRunes().Select(rune => rune.ToString()).Select(c => Upper(c) == c ? Lower(c) : Upper(c)));

    /// <summary>Whether a character has a capital and a small form.</summary>
    public static bool IsCased(Rune rune) => Rune.IsUpper(rune) || Rune.IsLower(rune) || Rune.GetUnicodeCategory(rune) == UnicodeCategory.TitlecaseLetter;

    /// <summary>Whether all characters are so, and there is one.</summary>
    public static bool All(string text, Func<Rune, bool> condition) => text.Length > 0 && text.EnumerateRunes().All(condition);

    /// <summary>Whether the letters that have two forms are all small (or all capital), and there is one.</summary>
    public static bool AllCased(string text, Func<Rune, bool> form) => text.EnumerateRunes().Where(IsCased).ToArray() is { Length: > 0 } cased && cased.All(form);
}
