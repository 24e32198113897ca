namespace DualSparse.Engine.Serving;

/// <summary>
/// Lets text through up to the first stop string. Text that may be the beginning of one is held back until that is decided, so no part
/// of a stop string is ever let through, however it is cut into pieces. Stop strings are looked for in all that the model writes, special
/// tokens included, which are not let through themselves.
/// </summary>
/// <param name="stops">None of them empty; compared ordinally.</param>
internal sealed class StopFilter(IReadOnlyList<string> stops)
{
    // What may be the beginning of a stop string, and of each of its characters whether it is let through if it isn't.
    private string held = "";
    private readonly List<bool> shown = [];

    /// <summary>The stop string that has come; nothing is let through any more. Null: none has.</summary>
    public string? Stop { get; private set; }

    /// <summary>Takes the next piece of text.</summary>
    /// <returns>What may be shown now.</returns>
    public string Push(string text) => stops.Count == 0 ? text : Push(text, show: true);

    /// <summary>Takes a special token's text, which stop strings may hold and nobody sees.</summary>
    /// <returns>What may be shown now, of the text before it.</returns>
    public string PushHidden(string text) => stops.Count == 0 ? "" : Push(text, show: false);

    /// <summary>Ends the text.</summary>
    /// <returns>What was held back, now that no stop string can come of it.</returns>
    public string Flush() => Release(held.Length);

    private string Push(string text, bool show)
    {
        if (Stop is not null)
            return "";
        held += text;
        shown.AddRange(Enumerable.Repeat(show, text.Length));
        int first = held.Length;
        foreach (string stop in stops)
        {
            int at = held.IndexOf(stop, StringComparison.Ordinal);
            if (at >= 0 && at < first)
                (first, Stop) = (at, stop);
        }

        if (Stop is null)
            return Release(held.Length - stops.Max(stop => Overlap(held, stop)));
        string before = Release(first);
        Release(held.Length);
        return before;
    }

    // Lets the first so many held characters go.
    private string Release(int count)
    {
        string text = string.Concat(held.Take(count).Where((_, i) => shown[i]));
        held = held[count..];
        shown.RemoveRange(0, count);
        return text;
    }

    /// <summary>The longest end of <paramref name="text"/> with which <paramref name="stop"/> begins.</summary>
    private static int Overlap(string text, string stop)
    {
        int length = Math.Min(text.Length, stop.Length - 1);
        while (!text.AsSpan(text.Length - length).SequenceEqual(stop.AsSpan(0, length)))
            length--;
        return length;
    }
}
