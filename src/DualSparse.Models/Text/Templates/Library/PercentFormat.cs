using System.Globalization;
using System.Text;

namespace DualSparse.Models.Text.Templates;

/// <summary>Python's <c>format % values</c>.</summary>
internal static class PercentFormat
{
    // Enough for every digit that a number has.
    private const int MostPrecision = 1000;

    /// <summary>Formats.</summary>
    public static MarkedText Apply(TemplateRun run, MarkedText format, object? values)
    {
        var builder = run.Builder();
        string text = format.Value;
        var tuple = values as ListValue is { IsTuple: true } given ? given.Items : [values];
        int used = 0;
        bool named = false;
        for (int i = 0; i < text.Length;)
        {
            int percent = text.IndexOf('%', i);
            if (percent < 0)
            {
                builder.Append(format, i, text.Length);
                break;
            }

            builder.Append(format, i, percent);
            i = percent + 1;
            object? Next() => used < tuple.Count ? tuple[used++] : throw new TemplateError("not enough arguments for format string");
            object? value = null;
            bool keyed = i < text.Length && text[i] == '(';
            if (keyed)
            {
                int end = text.IndexOf(')', i);
                if (end < 0 || values is not DictValue dict)
                    throw new TemplateError(end < 0 ? "incomplete format key" : "format requires a mapping");
                if (!dict.Entries.TryGetValue(new MarkedText(text[(i + 1)..end]), out value))
                    throw new TemplateError($"the format's key '{JsonField.Shorten(text[(i + 1)..end])}' is missing");
                (named, i) = (true, end + 1);
            }

            var spec = new FormatSpec();
            for (; i < text.Length && text[i] is '-' or '+' or ' ' or '#' or '0'; i++)
                spec = Flag(spec, text[i]);
            spec = spec with { Width = Number(text, ref i, Next) ?? 0 };
            if (spec.Width < 0)
                spec = spec with { Align = '<', Width = -spec.Width };
            if (i < text.Length && text[i] == '.')
            {
                i++;
                spec = spec with { Precision = Math.Clamp(Number(text, ref i, Next) ?? 0, 0, MostPrecision) };
            }

            while (i < text.Length && text[i] is 'h' or 'l' or 'L')
                i++;
            if (i == text.Length)
                throw new TemplateError("incomplete format");
            char kind = text[i++];
            if (kind == '%')
                builder.Append("%");
            else
                Write(run, builder, spec, kind, keyed ? value : Next());
        }

        // What has items by key may be left unused.
        if (used < tuple.Count && !named && values is not (DictValue or UndefinedValue or RangeValue or ListValue { IsTuple: false }))
            throw new TemplateError("not all arguments converted during string formatting");
        return builder.Build();
    }

    private static FormatSpec Flag(FormatSpec spec, char flag) => flag switch
    {
        '-' => spec with { Align = '<' },
        '0' => spec with { Zero = true },
        '#' => spec with { Alternate = true },
        _ => spec with { Sign = spec.Sign == '+' ? '+' : flag },
    };

    private static int? Number(string text, ref int i, Func<object?> next)
    {
        if (i < text.Length && text[i] == '*')
        {
            i++;
            return (int)Numbers.Count(next());
        }

        int start = i;
        while (i < text.Length && char.IsAsciiDigit(text[i]))
            i++;
        return i == start ? null : int.TryParse(text.AsSpan(start, i - start), NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number
            : throw new TemplateError("the format's width is too big");
    }

    private static void Write(TemplateRun run, MarkedTextBuilder builder, FormatSpec spec, char kind, object? value)
    {
        switch (kind)
        {
            case 's' or 'r' or 'a':
                var text = kind == 's' ? ValueText.Of(run, value) : ValueText.Repr(run, value);
                spec.Write(builder, spec.Precision is { } most && most < text.Count ? text.Slice(0, text.Offset(most)) : text);
                break;
            case 'c':
                spec.Write(builder, value is MarkedText { Count: 1 } character ? character
                    : value is long code && Rune.IsValid((int)Math.Clamp(code, -1, int.MaxValue)) ? new MarkedText(new Rune((int)code).ToString()) : throw new TemplateError("%c requires int or char"));
                break;
            case 'd' or 'i' or 'u' or 'x' or 'X' or 'o' or 'e' or 'E' or 'f' or 'F' or 'g' or 'G':
                if (!Numbers.Is(value))
                    throw value is UndefinedValue undefined ? undefined.Error() : new TemplateError($"%{kind} format: a real number is required, not {TypeNames.Of(value)}");
                if (value is double and not (double.NaN or double.PositiveInfinity or double.NegativeInfinity) && kind is 'd' or 'i' or 'u')
                    value = Numbers.Of(new System.Numerics.BigInteger((double)value!));
                spec.WriteNumber(builder, kind is 'i' or 'u' ? 'd' : kind, value!);
                break;
            default:
                throw new TemplateError($"unsupported format character '{kind}'");
        }
    }
}
