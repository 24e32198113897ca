using System.Buffers;
using System.Text;
using DualSparse.Models.Text.Patterns;

namespace DualSparse.Models.Text;

/// <summary>A token that is found in the text before it is split into words.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Content">Its text.</param>
/// <param name="Special">It steers the model, such as an end of text, rather than being content.</param>
/// <param name="Normalized">It is looked for in normalised text.</param>
/// <param name="SingleWord">It counts only where no word character touches it.</param>
/// <param name="LeftStrip">It takes the white space before it along.</param>
/// <param name="RightStrip">It takes the white space after it along.</param>
internal sealed record AddedToken(
    int Id, string Content, bool Special, bool Normalized, bool SingleWord, bool LeftStrip, bool RightStrip);

/// <summary>Finds added tokens in a text: the leftmost, and of those that start together the longest.</summary>
internal sealed class AddedTokens
{
    // Here the library asks another engine than for split patterns: one whose \w has the joiners as well.
    private static readonly Lazy<CodePointSet> Word = new(() => UnicodeProperties.Word.Union(UnicodeProperties.Find("joincontrol")!));

    private readonly Dictionary<string, AddedToken> tokens = new(StringComparer.Ordinal);
    private readonly int[] lengths;
    private readonly SearchValues<string>? anywhere;

    /// <summary>Looks for <paramref name="tokens"/>; the text that is looked for is the key.</summary>
    public AddedTokens(IEnumerable<(string Text, AddedToken Token)> tokens)
    {
        foreach ((string text, AddedToken token) in tokens.Where(t => t.Text.Length > 0))
        {
            this.tokens.TryAdd(text, token);
        }

        lengths = [.. this.tokens.Keys.Select(key => key.Length).Distinct().OrderDescending()];
        anywhere = this.tokens.Count == 0 ? null : SearchValues.Create([.. this.tokens.Keys], StringComparison.Ordinal);
    }

    /// <summary>Cuts <paramref name="text"/> into sections: an added token (its id), or text between such (id -1).</summary>
    public List<(int Start, int End, int Id)> Split(ReadOnlySpan<char> text, TokenTrust trust)
    {
        List<(int Start, int End, int Id)> sections = [];
        int done = 0;
        int from = 0;
        while (anywhere is not null && text[from..].IndexOfAny(anywhere) is int found and >= 0)
        {
            int start = from + found;
            (int end, AddedToken token) = Longest(text, start);
            from = end;
            if (start < done || (token.SingleWord && !StandsAlone(text, start, end)))
            {
                continue;
            }

            if (!trust.Allows(token, start, end))
            {
                from = trust.LooksInside ? start + 1 : end;
                continue;
            }

            while (token.LeftStrip && start > done && char.IsWhiteSpace(text[start - 1]))
            {
                start--;
            }

            while (token.RightStrip && end < text.Length && char.IsWhiteSpace(text[end]))
            {
                end++;
            }

            if (start > done)
            {
                sections.Add((done, start, -1));
            }

            sections.Add((start, end, token.Id));
            done = end;
        }

        if (done < text.Length)
        {
            sections.Add((done, text.Length, -1));
        }

        return sections;
    }

    private (int End, AddedToken Token) Longest(ReadOnlySpan<char> text, int start)
    {
        var lookup = tokens.GetAlternateLookup<ReadOnlySpan<char>>();
        foreach (int length in lengths)
        {
            if (length <= text.Length - start && lookup.TryGetValue(text.Slice(start, length), out AddedToken? token))
            {
                return (start + length, token);
            }
        }

        throw new InvalidOperationException("the search found an added token that the table lacks");
    }

    private static bool StandsAlone(ReadOnlySpan<char> text, int start, int end)
    {
        Rune.DecodeLastFromUtf16(text[..start], out Rune before, out _);
        Rune.DecodeFromUtf16(text[end..], out Rune after, out _);
        return !(start > 0 && IsWord(before)) && !(end < text.Length && IsWord(after));
    }

    private static bool IsWord(Rune rune) => Word.Value.Contains(rune.Value);
}
