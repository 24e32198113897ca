namespace DualSparse.Engine.Serving;

/// <summary>
/// Lets text through up to the first stop string. Text that may be the beginning of one is held back until that is decided, so no part
/// of a stop string is ever let through, however it is cut into pieces.
/// </summary>
/// <param name="stops">None of them empty; compared ordinally.</param>
internal sealed class StopFilter(IReadOnlyList<string> stops)
{
    private string held = "";

    /// <summary>Whether a stop string has come; nothing is let through any more.</summary>
    public bool Stopped { get; private set; }

    /// <summary>Takes the next piece of text.</summary>
    /// <returns>What may be shown now.</returns>
    public string Push(string text)
    {
        if (Stopped)
            return "";
        if (stops.Count == 0)
            return text;
        string all = held + text;
        int first = all.Length;
        foreach (string stop in stops)
        {
            int at = all.IndexOf(stop, StringComparison.Ordinal);
            if (at >= 0 && at < first)
                (first, Stopped) = (at, true);
        }

        if (Stopped)
        {
            held = "";
            return all[..first];
        }

        int keep = stops.Max(stop => Overlap(all, stop));
        held = all[^keep..];
        return all[..^keep];
    }

    /// <summary>Ends the text.</summary>
    /// <returns>What was held back, now that no stop string can come of it.</returns>
    public string Flush()
    {
        string rest = held;
        held = "";
        return rest;
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
