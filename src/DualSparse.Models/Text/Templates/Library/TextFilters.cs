using System.Net;
using System.Text;

namespace DualSparse.Models.Text.Templates;

/// <summary>Filters that give strings.</summary>
internal static class TextFilters
{
    /// <summary>Adds them to the table.</summary>
    public static void AddTo(Dictionary<string, Func<TemplateRun, Arguments, object?>> filters)
    {
        filters["upper"] = (run, a) => StringMethods.Map(run, Text(run, a), PythonText.Upper);
        filters["lower"] = (run, a) => StringMethods.Map(run, Text(run, a), PythonText.Lower);
        filters["capitalize"] = (run, a) => StringMethods.MapWhole(run, Text(run, a), PythonText.Capitalize);
        filters["title"] = (run, a) => StringMethods.MapWhole(run, Text(run, a), Title);
        filters["trim"] = (run, a) => StringMethods.Strip(run, Text(run, a), a.Take("chars", null) is MarkedText characters ? characters.Value : null);
        filters["replace"] = Replace;
        filters["join"] = Join;
        filters["indent"] = Indent;
        filters["center"] = (run, a) => Text(run, a) is var text && a.Whole("width", 80) is var width
            ? StringMethods.Pad(run, text, width, new MarkedText(" "), pad => (pad / 2) + (pad & width & 1)) : null;
        filters["format"] = Format;
        filters["truncate"] = Truncate;
        filters["wordcount"] = (run, a) => Words(Text(run, a).Value);
        filters["urlencode"] = (run, a) => StringMethods.Map(run, Text(run, a), text => Uri.EscapeDataString(text).Replace("%2F", "/", StringComparison.Ordinal));
        filters["striptags"] = (run, a) => StringMethods.MapWhole(run, Text(run, a), StripTags);
    }

    private static MarkedText Text(TemplateRun run, Arguments arguments)
    {
        var text = ValueText.Of(run, arguments.Take("s"));
        run.Allowance.Pass(text.Value.Length);
        return text;
    }

    private static object Replace(TemplateRun run, Arguments arguments)
    {
        var text = Text(run, arguments);
        MarkedText old = ValueText.Of(run, arguments.Take("old")), by = ValueText.Of(run, arguments.Take("new"));
        return StringMethods.Replace(run, text, old, by, arguments.Take("count", null) is { } count ? Numbers.Count(count) : -1);
    }

    private static object Join(TemplateRun run, Arguments arguments)
    {
        object? values = arguments.Take("value");
        var between = ValueText.Of(run, arguments.Take("d", MarkedText.Empty));
        object? attribute = arguments.Take("attribute", null);
        var builder = run.Builder();
        bool first = true;
        foreach (object? item in Operators.Iterate(run, values))
        {
            if (!first)
                builder.Append(between);
            first = false;
            run.Allowance.Step();
            ValueText.Print(run, builder, AttributePath.Of(item, attribute));
        }

        return builder.Build();
    }

    private static object Indent(TemplateRun run, Arguments arguments)
    {
        var text = arguments.Take("s") switch
        {
            MarkedText given => given,
            UndefinedValue undefined => throw undefined.Error(),
            var other => throw new TemplateError($"unsupported operand type(s) for +=: '{TypeNames.Of(other)}' and 'str'"),
        };
        MarkedText indent;
        if (arguments.Take("width", 4L) is var width && width is MarkedText own)
            indent = own;
        else
            indent = run.Builder().Append(' ', Numbers.Count(width)).Build();
        bool first = arguments.Flag("first", false), blank = arguments.Flag("blank", false);
        var builder = run.Builder();
        if (first)
            builder.Append(indent);
        string value = text.Value;
        for (int start = 0; start <= value.Length;)
        {
            // A line break at the end has an empty line behind it.
            var (end, next) = start < value.Length ? PythonText.Line(value, start) : (start, start);
            if (start > 0 && (end > start || blank))
                builder.Append(indent);
            builder.Append(text, start, end);
            run.Allowance.Step();
            if (next == end)
                break;
            builder.Append("\n");
            start = next;
        }

        return builder.Build();
    }

    private static object Format(TemplateRun run, Arguments arguments)
    {
        var format = Text(run, arguments);
        var values = arguments.Rest();
        if (values.Count > 0 && arguments.Named.Count > 0)
            throw new TemplateError("can't handle positional and keyword arguments at the same time");
        if (arguments.Named.Count == 0)
            return PercentFormat.Apply(run, format, new ListValue(values, IsTuple: true));
        var dict = new DictValue();
        foreach (var (name, value) in arguments.Named)
            dict[name] = value;
        arguments.Named.Clear();
        return PercentFormat.Apply(run, format, dict);
    }

    private static object? Truncate(TemplateRun run, Arguments arguments)
    {
        object? value = arguments.Take("s");
        long length = arguments.Whole("length", 255);
        bool cutWords = arguments.Flag("killwords", false);
        var end = arguments.Text("end", "...");
        long leeway = arguments.Take("leeway", null) is { } given ? Numbers.Count(given) : 5;
        if (length < end.Count || leeway < 0)
            throw new TemplateError($"expected length >= {end.Count} and leeway >= 0, got {length} and {leeway}");
        if (Operators.Length(value) <= length + leeway)
            return value;
        var text = value as MarkedText ?? throw new TemplateError($"truncate needs a string, not {TypeNames.Of(value)}");
        int cut = text.Offset((int)(length - end.Count));
        if (!cutWords && cut > 0 && text.Value.LastIndexOf(' ', cut - 1) is var space and >= 0)
            cut = space;
        return run.Builder().Append(text, 0, cut).Append(end).Build();
    }

    // Runs of letters, digits and underlines.
    private static long Words(string text)
    {
        long count = 0;
        bool inside = false;
        foreach (var rune in text.EnumerateRunes())
        {
            bool word = rune.Value == '_' || Rune.IsLetter(rune) || Rune.IsNumber(rune);
            count += word && !inside ? 1 : 0;
            inside = word;
        }

        return count;
    }

    // Comments, then tags; the white space between words becomes a blank, and entities what they stand for.
    private static string StripTags(string text)
    {
        text = Cut(Cut(text, "<!--", "-->"), "<", ">");
        return WebUtility.HtmlDecode(string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)));
    }

    private static string Cut(string text, string open, string close)
    {
        var rest = new StringBuilder(text.Length);
        int done = 0;
        while (text.IndexOf(open, done, StringComparison.Ordinal) is var start and >= 0 && text.IndexOf(close, start, StringComparison.Ordinal) is var end and >= 0)
        {
            rest.Append(text, done, start - done);
            done = end + close.Length;
        }

        return rest.Append(text, done, text.Length - done).ToString();
    }

    // Words begin after white space, a hyphen or an opening bracket.
    private static string Title(string text)
    {
        var result = new StringBuilder(text.Length);
        bool begins = true;
        for (int i = 0, width; i < text.Length; i += width)
        {
            width = i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1]) ? 2 : 1;
            string letter = text.Substring(i, width);
            bool between = PythonText.IsSpace(text[i]) || text[i] is '-' or '(' or '{' or '[' or '<';
            result.Append(between ? letter : begins ? PythonText.Upper(letter) : PythonText.Lower(letter));
            begins = between;
        }

        return result.ToString();
    }
}
