using System.Globalization;

namespace DualSparse.Models.Text.Templates;

/// <summary>Python's <c>format.format(values)</c>: <c>{}</c>, <c>{0}</c>, <c>{name.attribute[item]}</c>, with <c>!r</c> and <c>:spec</c>.</summary>
internal static class BraceFormat
{
    /// <summary>Formats.</summary>
    public static MarkedText Apply(TemplateRun run, MarkedText format, Arguments arguments)
    {
        var builder = run.Builder();
        int automatic = 0;
        Write(run, builder, format, arguments, ref automatic, depth: 0);
        return builder.Build();
    }

    private static void Write(TemplateRun run, MarkedTextBuilder builder, MarkedText format, Arguments arguments, ref int automatic, int depth)
    {
        string text = format.Value;
        for (int i = 0; i < text.Length;)
        {
            int brace = text.AsSpan(i).IndexOfAny('{', '}');
            if (brace < 0)
            {
                builder.Append(format, i, text.Length);
                return;
            }

            brace += i;
            builder.Append(format, i, brace);
            if (brace + 1 < text.Length && text[brace + 1] == text[brace])
            {
                builder.Append(format, brace, brace + 1);
                i = brace + 2;
                continue;
            }

            if (text[brace] == '}')
                throw new TemplateError("Single '}' encountered in format string");
            int end = Close(text, brace);
            WriteField(run, builder, format.Slice(brace + 1, end), arguments, ref automatic, depth);
            i = end + 1;
        }
    }

    private static int Close(string text, int open)
    {
        int depth = 0;
        for (int i = open; i < text.Length; i++)
        {
            depth += text[i] == '{' ? 1 : text[i] == '}' ? -1 : 0;
            if (depth == 0)
                return i;
        }

        throw new TemplateError("expected '}' before end of string");
    }

    private static void WriteField(TemplateRun run, MarkedTextBuilder builder, MarkedText field, Arguments arguments, ref int automatic, int depth)
    {
        if (depth > 1)
            throw new TemplateError("Max string recursion exceeded");
        string text = field.Value;
        int colon = text.IndexOf(':', StringComparison.Ordinal), mark = (colon < 0 ? text : text[..colon]).IndexOf('!', StringComparison.Ordinal);
        int nameEnd = mark >= 0 ? mark : colon >= 0 ? colon : text.Length;
        object? value = Value(text[..nameEnd], arguments, ref automatic);
        if (mark >= 0)
        {
            value = text[(mark + 1)..(colon < 0 ? text.Length : colon)] switch
            {
                "s" => ValueText.Of(run, value),
                "r" or "a" => ValueText.Repr(run, value),
                var other => throw new TemplateError($"unknown conversion '{JsonField.Shorten(other)}' in a format"),
            };
        }

        var inner = run.Builder();
        if (colon >= 0)
            Write(run, inner, field.Slice(colon + 1, text.Length), arguments, ref automatic, depth + 1);
        var (spec, kind) = Parse(inner.Build().Value);
        if (Numbers.Is(value) && !(value is bool && kind == 0))
            WriteNumber(builder, spec, kind, value!);
        else if (value is not (MarkedText or bool) && colon >= 0 && colon + 1 < text.Length)
            throw new TemplateError($"unsupported format string passed to {TypeNames.Of(value)}.__format__");
        else if (kind is (char)0 or 's')
            spec.Write(builder, ValueText.Of(run, value) is var all && spec.Precision is { } most && most < all.Count ? all.Slice(0, all.Offset(most)) : all, '<');
        else
            throw new TemplateError($"unknown format code '{kind}' for object of type '{TypeNames.Of(value)}'");
    }

    private static void WriteNumber(MarkedTextBuilder builder, FormatSpec spec, char kind, object value)
    {
        if (kind == 0 && value is double number && spec.Precision is null)
            spec.Write(builder, new MarkedText(Numbers.Text(number)));
        else
            spec.WriteNumber(builder, kind != 0 ? kind : value is double ? 'g' : 'd', value);
    }

    private static object? Value(string name, Arguments arguments, ref int automatic)
    {
        int end = name.AsSpan().IndexOfAny('.', '[');
        string first = end < 0 ? name : name[..end];
        object? value;
        if (first.Length == 0 || char.IsAsciiDigit(first[0]))
        {
            int index = first.Length == 0 ? automatic++ : int.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : int.MaxValue;
            value = index < arguments.Positional.Count ? arguments.Positional[index] : throw new TemplateError($"replacement index {index} out of range for positional args tuple");
        }
        else if (!arguments.Named.TryGetValue(first, out value))
        {
            throw new TemplateError($"the format's name '{JsonField.Shorten(first)}' is missing");
        }

        for (int i = end; i >= 0 && i < name.Length;)
        {
            int stop = name[i] == '[' ? name.IndexOf(']', i) : name.AsSpan(i + 1).IndexOfAny('.', '[') is var next and >= 0 ? i + 1 + next : name.Length;
            if (stop < 0)
                throw new TemplateError("missing ']' in format string");
            string key = name[(i + 1)..stop];
            value = name[i] == '.' ? Attributes.Attribute(value, key)
                : Attributes.Item(value, long.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out long index) ? index : new MarkedText(key));
            i = name[i] == '[' ? stop + 1 : stop;
        }

        return value;
    }

    // [[fill]align][sign][#][0][width][,][.precision][kind]
    private static (FormatSpec Spec, char Kind) Parse(string text)
    {
        var spec = new FormatSpec();
        int i = 0;
        int fill = text.Length > 0 && char.IsHighSurrogate(text[0]) ? 2 : 1;
        if (text.Length > fill && text[fill] is '<' or '>' or '^' or '=')
            (spec, i) = (spec with { Fill = text[..fill], Align = text[fill] }, fill + 1);
        else if (text.Length > 0 && text[0] is '<' or '>' or '^' or '=')
            (spec, i) = (spec with { Align = text[0] }, 1);
        if (i < text.Length && text[i] is '+' or '-' or ' ')
            spec = text[i++] is var sign and not '-' ? spec with { Sign = sign } : spec;
        if (i < text.Length && text[i] == '#')
            (spec, i) = (spec with { Alternate = true }, i + 1);
        if (i < text.Length && text[i] == '0')
            (spec, i) = (spec with { Zero = true }, i + 1);
        spec = spec with { Width = Digits(text, ref i) ?? 0 };
        if (i < text.Length && text[i] is ',' or '_')
            spec = spec with { Thousands = text[i++] };
        if (i < text.Length && text[i] == '.')
        {
            i++;
            spec = spec with { Precision = Math.Min(Digits(text, ref i) ?? throw new TemplateError("Format specifier missing precision"), 1000) };
        }

        char kind = i < text.Length ? text[i++] : (char)0;
        return i == text.Length && kind is (char)0 or 's' or 'd' or 'x' or 'X' or 'o' or 'b' or 'e' or 'E' or 'f' or 'F' or 'g' or 'G' or '%'
            ? (spec, kind) : throw new TemplateError($"invalid format specifier '{JsonField.Shorten(text)}'");
    }

    private static int? Digits(string text, ref int i)
    {
        int start = i;
        while (i < text.Length && char.IsAsciiDigit(text[i]))
            i++;
        return i == start ? null : int.TryParse(text.AsSpan(start, i - start), NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number
            : throw new TemplateError("the format's width is too big");
    }
}
