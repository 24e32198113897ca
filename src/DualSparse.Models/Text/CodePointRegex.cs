using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace DualSparse.Models.Text;

/// <summary>
/// A regular expression over Unicode characters. .NET matches UTF-16 units, so that \p{L} misses letters beyond U+FFFF: where a text
/// has such characters, each is replaced for the search by one character of the same general category that the pattern doesn't name.
/// </summary>
internal sealed class CodePointRegex
{
    // A megabyte matched at once takes some 5 ms; this ends a pattern that was made to explode.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);

    private readonly string source;
    private readonly Regex regex;
    private readonly IReadOnlyList<(int First, int Last)> literals;
    private readonly char[] standIns = new char[(int)UnicodeCategory.OtherNotAssigned + 1];

    /// <summary>Reads a pattern in Oniguruma's syntax.</summary>
    /// <exception cref="NotSupportedException">The pattern has something that can't be expressed; the message says what.</exception>
    /// <exception cref="ArgumentException">The pattern isn't a regular expression.</exception>
    public CodePointRegex(string source)
    {
        this.source = source;
        (string pattern, literals) = RegexTranslator.Translate(source);
        regex = new Regex(pattern, RegexOptions.CultureInvariant | RegexOptions.Multiline, Limit);
    }

    /// <summary>Reports every match in <paramref name="text"/> (valid UTF-16) to <paramref name="matches"/>.</summary>
    /// <exception cref="ModelFormatException">The search takes too long.</exception>
    public void Find(ReadOnlySpan<char> text, SplitCollector matches)
    {
        try
        {
            if (text.IndexOfAnyInRange('\uD800', '\uDFFF') < 0)
            {
                foreach (ValueMatch match in regex.EnumerateMatches(text))
                {
                    matches.Add(match.Index, match.Index + match.Length);
                }
            }
            else
            {
                FindWithStandIns(text, matches);
            }
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new ModelFormatException(
                $"the split pattern '{JsonField.Shorten(source)}' took over {Limit.TotalSeconds} s on a text of {text.Length} characters", e);
        }
    }

    private void FindWithStandIns(ReadOnlySpan<char> text, SplitCollector matches)
    {
        char[] rented = ArrayPool<char>.Shared.Rent(text.Length);
        int count = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            rented[count++] = rune.IsBmp ? (char)rune.Value : StandIn(Rune.GetUnicodeCategory(rune));
        }

        int unit = 0;
        int character = 0;
        foreach (ValueMatch match in regex.EnumerateMatches(rented.AsSpan(0, count)))
        {
            int start = Advance(text, match.Index, ref unit, ref character);
            matches.Add(start, Advance(text, match.Index + match.Length, ref unit, ref character));
        }

        ArrayPool<char>.Shared.Return(rented);
    }

    /// <summary>Moves on to the character of index <paramref name="target"/>; returns where it starts in UTF-16 units.</summary>
    private static int Advance(ReadOnlySpan<char> text, int target, ref int unit, ref int character)
    {
        for (; character < target; character++)
        {
            unit += char.IsHighSurrogate(text[unit]) ? 2 : 1;
        }

        return unit;
    }

    private char StandIn(UnicodeCategory category)
    {
        ref char found = ref standIns[(int)category];
        if (found == 0)
        {
            found = Search(category);
        }

        return found;
    }

    private char Search(UnicodeCategory category)
    {
        char any = '\uFFFD';
        for (char c = '\uFFFD'; c > 0x7F; c--)
        {
            if (CharUnicodeInfo.GetUnicodeCategory(c) == category)
            {
                any = c;
                if (!literals.Any(range => c >= range.First && c <= range.Last))
                {
                    return c;
                }
            }
        }

        return any;
    }
}
