namespace DualSparse.Models.Text.Templates;

/// <summary>Python's ways to take a string apart.</summary>
internal static class StringSplits
{
    /// <summary><c>split</c> and <c>rsplit</c>: at white space or at a string, at most so often.</summary>
    public static object Split(TemplateRun run, MarkedText text, Arguments arguments, bool fromRight)
    {
        object? separator = arguments.Take("sep", null);
        long most = arguments.Whole("maxsplit", -1);
        most = most < 0 ? long.MaxValue : most;
        var parts = separator switch
        {
            null => AtSpace(text, most, fromRight),
            MarkedText { Value.Length: 0 } => throw new TemplateError("empty separator"),
            MarkedText at => At(run, text, at.Value, most, fromRight),
            UndefinedValue undefined => throw undefined.Error(),
            _ => throw new TemplateError($"must be str or None, not {TypeNames.Of(separator)}"),
        };
        return run.List(parts.Select(part => StringMethods.Part(run, text, part.Start, part.End)));
    }

    /// <summary><c>splitlines</c></summary>
    public static object Lines(TemplateRun run, MarkedText text, Arguments arguments)
    {
        bool keep = arguments.Flag("keepends", false);
        List<object?> lines = [];
        for (int start = 0; start < text.Value.Length;)
        {
            var (end, next) = PythonText.Line(text.Value, start);
            lines.Add(StringMethods.Part(run, text, start, keep ? next : end));
            start = next;
        }

        return run.List(lines);
    }

    /// <summary><c>partition</c> and <c>rpartition</c></summary>
    public static object Partition(TemplateRun run, MarkedText text, Arguments arguments, bool fromRight)
    {
        string at = arguments.Text("sep").Value;
        if (at.Length == 0)
            throw new TemplateError("empty separator");
        int found = fromRight ? TextSearch.FindLast(run, text.Value, at, text.Value.Length) : TextSearch.Find(run, text.Value, at);
        if (found < 0)
            return run.List(fromRight ? [MarkedText.Empty, MarkedText.Empty, text] : [text, MarkedText.Empty, MarkedText.Empty], isTuple: true);
        int end = found + at.Length;
        return run.List([StringMethods.Part(run, text, 0, found), StringMethods.Part(run, text, found, end), StringMethods.Part(run, text, end, text.Value.Length)], isTuple: true);
    }

    private static List<(int Start, int End)> At(TemplateRun run, MarkedText text, string separator, long most, bool fromRight)
    {
        List<(int Start, int End)> parts = [];
        int start = 0, end = text.Value.Length;
        while (parts.Count < most)
        {
            int found = fromRight
                ? TextSearch.FindLast(run, text.Value, separator, end)
                : TextSearch.Find(run, text.Value, separator, start);
            if (found < 0)
                break;
            parts.Add(fromRight ? (found + separator.Length, end) : (start, found));
            (start, end) = fromRight ? (start, found) : (found + separator.Length, end);
        }

        parts.Add((start, end));
        if (fromRight)
            parts.Reverse();
        return parts;
    }

    private static List<(int Start, int End)> AtSpace(MarkedText text, long most, bool fromRight)
    {
        List<(int Start, int End)> parts = [];
        string value = text.Value;
        int at = fromRight ? value.Length : 0, step = fromRight ? -1 : 1;
        bool Inside() => fromRight ? at > 0 : at < value.Length;
        char Next() => fromRight ? value[at - 1] : value[at];
        while (true)
        {
            while (Inside() && PythonText.IsSpace(Next()))
                at += step;
            if (!Inside())
                break;
            int begin = at;
            bool last = parts.Count >= most;
            while (Inside() && (last || !PythonText.IsSpace(Next())))
                at += step;
            parts.Add(fromRight ? (at, begin) : (begin, at));
        }

        if (fromRight)
            parts.Reverse();
        return parts;
    }
}
