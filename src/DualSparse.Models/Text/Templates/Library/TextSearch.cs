namespace DualSparse.Models.Text.Templates;

/// <summary>Finds a string in a string, in time that grows with their lengths only.</summary>
internal static class TextSearch
{
    // The framework's search is quick, but compares the whole string at each place where it may stand: with a long one, and a text made for it,
    // that is the product of their lengths.
    private const int MostCompared = 32;

    /// <summary>The first place from <paramref name="from"/> on; negative: none.</summary>
    public static int Find(TemplateRun run, string text, string part, int from = 0)
    {
        int found = part.Length <= MostCompared ? text.IndexOf(part, from, StringComparison.Ordinal) : FindLong(run, text, part, from);
        run.Allowance.Pass((found < 0 ? text.Length : found) - from);
        return found;
    }

    /// <summary>The last place that ends before <paramref name="end"/>; negative: none.</summary>
    public static int FindLast(TemplateRun run, string text, string part, int end)
    {
        // Before, where the product of the lengths may be much.
        if (part.Length > MostCompared)
            run.Allowance.Pass((long)end * (part.Length / MostCompared));
        int found = text.AsSpan(0, end).LastIndexOf(part, StringComparison.Ordinal);
        run.Allowance.Pass(end - Math.Max(0, found));
        return found;
    }

    // Knuth, Morris and Pratt's: no character of the text is looked at again.
    private static int FindLong(TemplateRun run, string text, string part, int from)
    {
        if (part.Length > text.Length - from)
            return -1;
        run.Allowance.Take(part.Length);
        var border = new int[part.Length];
        for (int i = 1, same = 0; i < part.Length; i++)
        {
            while (same > 0 && part[i] != part[same])
                same = border[same - 1];
            same += part[i] == part[same] ? 1 : 0;
            border[i] = same;
        }

        for (int i = from, same = 0; i < text.Length; i++)
        {
            while (same > 0 && text[i] != part[same])
                same = border[same - 1];
            same += text[i] == part[same] ? 1 : 0;
            if (same == part.Length)
                return i + 1 - same;
        }

        return -1;
    }
}
