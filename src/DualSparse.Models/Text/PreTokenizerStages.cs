namespace DualSparse.Models.Text;

/// <summary>One step of pre-tokenization: a piece of text becomes pieces.</summary>
internal interface IPreTokenizerStage
{
    /// <summary>Appends what becomes of <paramref name="piece"/> (not empty) to <paramref name="output"/>.</summary>
    /// <param name="piece">The piece.</param>
    /// <param name="atStart">The whole text starts with this piece.</param>
    /// <param name="output">Receives the pieces, none empty.</param>
    void Apply(ReadOnlyMemory<char> piece, bool atStart, List<ReadOnlyMemory<char>> output);
}

/// <summary>Splits at the matches of a regular expression.</summary>
internal sealed class RegexStage(CodePointRegex regex, SplitBehavior behavior, bool invert) : IPreTokenizerStage
{
    [ThreadStatic]
    private static SplitCollector? t_collector;

    public void Apply(ReadOnlyMemory<char> piece, bool atStart, List<ReadOnlyMemory<char>> output)
    {
        SplitCollector collector = t_collector ??= new();
        collector.Clear();
        regex.Find(piece.Span, collector);
        collector.Finish(piece, behavior, invert, output);
    }
}

/// <summary>Splits at the occurrences of a string.</summary>
internal sealed class LiteralStage(string literal, SplitBehavior behavior, bool invert) : IPreTokenizerStage
{
    public void Apply(ReadOnlyMemory<char> piece, bool atStart, List<ReadOnlyMemory<char>> output)
    {
        var collector = new SplitCollector();
        ReadOnlySpan<char> text = piece.Span;
        int from = 0;
        while (literal.Length > 0 && text[from..].IndexOf(literal, StringComparison.Ordinal) is int found and >= 0)
        {
            collector.Add(from + found, from + found + literal.Length);
            from += found + literal.Length;
        }

        collector.Finish(piece, behavior, invert, output);
    }
}

/// <summary>Puts a character before a piece that doesn't start with it.</summary>
internal sealed class PrefixStage(char prefix, bool onlyAtStart) : IPreTokenizerStage
{
    public void Apply(ReadOnlyMemory<char> piece, bool atStart, List<ReadOnlyMemory<char>> output)
    {
        bool add = (atStart || !onlyAtStart) && piece.Span[0] != prefix;
        output.Add(add ? string.Concat([prefix], piece.Span).AsMemory() : piece);
    }
}

/// <summary>Replaces one character by another.</summary>
internal sealed class ReplaceStage(char from, char to) : IPreTokenizerStage
{
    public void Apply(ReadOnlyMemory<char> piece, bool atStart, List<ReadOnlyMemory<char>> output)
    {
        if (!piece.Span.Contains(from))
        {
            output.Add(piece);
            return;
        }

        char[] changed = new char[piece.Length];
        piece.Span.Replace(changed, from, to);
        output.Add(changed);
    }
}
