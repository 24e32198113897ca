namespace DualSparse.Models.Text;

/// <summary>Collects the matches of one pattern over one text, in order, and turns them into pieces.</summary>
internal sealed class SplitCollector
{
    private readonly List<(int Start, int End, bool Match)> spans = [];
    private int lastEnd;

    /// <summary>Records a match from <paramref name="start"/> to <paramref name="end"/>; an empty one is a cut, or nothing where the last match ended.</summary>
    public void Add(int start, int end)
    {
        if (end == lastEnd && spans is [.., { Match: true }])
            return;
        Append(lastEnd, start, match: false);
        spans.Add((start, end, true));
        lastEnd = end;
    }

    /// <summary>Forgets the matches.</summary>
    public void Clear()
    {
        spans.Clear();
        lastEnd = 0;
    }

    /// <summary>Appends the pieces of <paramref name="text"/> to <paramref name="pieces"/> and forgets the matches.</summary>
    /// <param name="text">The text in which the matches were found.</param>
    /// <param name="behavior">What becomes of the matches.</param>
    /// <param name="invert">Matches and the text between them change roles.</param>
    /// <param name="pieces">Receives the pieces.</param>
    public void Finish(ReadOnlyMemory<char> text, SplitBehavior behavior, bool invert, List<ReadOnlyMemory<char>> pieces)
    {
        Append(lastEnd, text.Length, match: false);
        for (int i = 0; i < spans.Count; i++)
        {
            (int start, int end, bool match) = spans[i];
            match ^= invert;
            if (match && behavior == SplitBehavior.Removed)
                continue;
            while (i + 1 < spans.Count && Joins(behavior, match, spans[i + 1].Match ^ invert))
            {
                (_, end, match) = spans[++i];
                match ^= invert;
            }

            if (end > start)
                pieces.Add(text[start..end]);
        }

        Clear();
    }

    /// <summary><paramref name="text"/> with <paramref name="content"/> in place of each match.</summary>
    public string Replace(string text, string content)
    {
        Append(lastEnd, text.Length, match: false);
        return string.Concat(spans.Select(span => span.Match ? content : text[span.Start..span.End]));
    }

    private static bool Joins(SplitBehavior behavior, bool match, bool nextMatch) => behavior switch
    {
        SplitBehavior.MergedWithPrevious => !match && nextMatch,
        SplitBehavior.MergedWithNext => match && !nextMatch,
        SplitBehavior.Contiguous => match == nextMatch,
        _ => false,
    };

    private void Append(int start, int end, bool match)
    {
        if (end > start)
            spans.Add((start, end, match));
    }
}
