using System.Buffers;
using System.Text.RegularExpressions;
using DualSparse.Models.Text.Patterns;

namespace DualSparse.Models.Text;

/// <summary>
/// A regular expression of tokenizer.json, which means what Oniguruma makes of it. It runs in .NET's engine over the symbols of the
/// pattern's own alphabet, so that only .NET's backtracking is used and none of its notions of characters.
/// </summary>
internal sealed class CodePointRegex
{
    // A megabyte matched at once takes some 5 ms; this ends a pattern that was made to explode.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);

    private readonly string source;
    private readonly Regex regex;
    private readonly PatternAlphabet alphabet;

    /// <summary>Reads a pattern in Oniguruma's syntax.</summary>
    /// <exception cref="NotSupportedException">The pattern has something that isn't implemented; the message says what.</exception>
    /// <exception cref="ArgumentException">The pattern isn't a regular expression; the message says why.</exception>
    public CodePointRegex(string source)
        : this(source, PatternParser.Parse(source))
    {
    }

    /// <summary>Finds each character of <paramref name="set"/>.</summary>
    public CodePointRegex(CodePointSet set)
        : this("", new SetNode(set))
    {
    }

    private CodePointRegex(string source, PatternNode node)
    {
        this.source = source;
        (string pattern, alphabet) = PatternWriter.Write(node);
        regex = new Regex(pattern, RegexOptions.CultureInvariant, Limit);
    }

    /// <summary>Reports every match in <paramref name="text"/> (valid UTF-16) to <paramref name="matches"/>.</summary>
    /// <exception cref="ModelFormatException">The search takes too long.</exception>
    public void Find(ReadOnlySpan<char> text, SplitCollector matches)
    {
        char[] symbols = ArrayPool<char>.Shared.Rent(text.Length);
        try
        {
            int count = alphabet.Translate(text, symbols);
            bool pairs = count < text.Length;
            int unit = 0;
            int character = 0;
            foreach (ValueMatch match in regex.EnumerateMatches(symbols.AsSpan(0, count)))
            {
                int end = match.Index + match.Length;
                int start = pairs ? Advance(text, match.Index, ref unit, ref character) : match.Index;
                matches.Add(start, pairs ? Advance(text, end, ref unit, ref character) : end);
            }
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new ModelFormatException(
                $"the split pattern '{JsonField.Shorten(source)}' took over {Limit.TotalSeconds} s on a text of {text.Length} characters", e);
        }
        finally
        {
            ArrayPool<char>.Shared.Return(symbols);
        }
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
}
