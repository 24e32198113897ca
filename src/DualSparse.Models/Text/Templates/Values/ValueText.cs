using System.Globalization;
using System.Numerics;
using System.Text;

namespace DualSparse.Models.Text.Templates;

/// <summary>Values as text, as Python's <c>str</c> and <c>repr</c> write them.</summary>
internal static class ValueText
{
    /// <summary><c>str(value)</c>: a string is itself.</summary>
    public static MarkedText Of(TemplateRun run, object? value) => value switch
    {
        MarkedText text => text,
        UndefinedValue => MarkedText.Empty,
        _ => Repr(run, value),
    };

    /// <summary><c>repr(value)</c>.</summary>
    public static MarkedText Repr(TemplateRun run, object? value)
    {
        var builder = run.Builder();
        Write(run, builder, value);
        return builder.Build();
    }

    /// <summary>Writes <c>str(value)</c>.</summary>
    public static void Print(TemplateRun run, MarkedTextBuilder builder, object? value)
    {
        if (value is MarkedText text)
            builder.Append(text);
        else if (value is not UndefinedValue)
            Write(run, builder, value);
    }

    /// <summary>A whole number as text.</summary>
    public static string Whole(object value) => value switch
    {
        bool flag => flag ? "True" : "False",
        long number => number.ToString(CultureInfo.InvariantCulture),
        _ => ((BigInteger)value).ToString(CultureInfo.InvariantCulture),
    };

    private static void Write(TemplateRun run, MarkedTextBuilder builder, object? value)
    {
        run.Allowance.Step();
        switch (value)
        {
            case null:
                builder.Append("None");
                break;
            case bool or long or BigInteger:
                builder.Append(Whole(value));
                break;
            case double number:
                builder.Append(Numbers.Text(number));
                break;
            case MarkedText text:
                WriteQuoted(builder, text);
                break;
            case UndefinedValue:
                builder.Append("Undefined");
                break;
            case ListValue list:
                WriteItems(run, builder, list.Items, list.IsTuple ? "(" : "[", list.IsTuple ? (list.Items.Count == 1 ? ",)" : ")") : "]");
                break;
            case DictView view:
                WriteItems(run, builder, view.Items, view.Kind + "([", "])");
                break;
            case DictValue dict:
                WriteDict(run, builder, dict);
                break;
            case NamespaceValue ns:
                builder.Append("<Namespace ");
                WriteDict(run, builder, ns.Attributes);
                builder.Append(">");
                break;
            case RangeValue range:
                builder.Append(range.Step == 1 ? $"range({range.Start}, {range.Stop})" : $"range({range.Start}, {range.Stop}, {range.Step})");
                break;
            case FunctionValue function:
                builder.Append(function.Text);
                break;
            default:
                builder.Append($"<{TypeNames.Of(value)} object>");
                break;
        }
    }

    private static void WriteItems(TemplateRun run, MarkedTextBuilder builder, List<object?> items, string open, string close)
    {
        run.Allowance.Enter();
        builder.Append(open);
        for (int i = 0; i < items.Count; i++)
        {
            if (i > 0)
                builder.Append(", ");
            Write(run, builder, items[i]);
        }

        builder.Append(close);
        run.Allowance.Leave();
    }

    private static void WriteDict(TemplateRun run, MarkedTextBuilder builder, DictValue dict)
    {
        run.Allowance.Enter();
        builder.Append("{");
        bool first = true;
        foreach (var (key, value) in dict.Entries)
        {
            if (!first)
                builder.Append(", ");
            first = false;
            Write(run, builder, ValueEquality.Value(key));
            builder.Append(": ");
            Write(run, builder, value);
        }

        builder.Append("}");
        run.Allowance.Leave();
    }

    // Single quotes, unless only they are inside.
    private static void WriteQuoted(MarkedTextBuilder builder, MarkedText text)
    {
        char quote = text.Value.Contains('\'', StringComparison.Ordinal) && !text.Value.Contains('"', StringComparison.Ordinal) ? '"' : '\'';
        if (text.IsMarkup)
            builder.Append("Markup(");
        builder.Append(quote, 1);
        int begin = 0;
        foreach (var run in text.Runs)
        {
            int plain = begin;
            for (int i = begin; i < run.End;)
            {
                Rune.DecodeFromUtf16(text.Value.AsSpan(i), out var rune, out int width);
                if (Escape(rune, quote) is { } escape)
                {
                    builder.Append(text.Value.AsSpan(plain, i - plain), run.Origin).Append(escape, run.Origin);
                    plain = i + width;
                }

                i += width;
            }

            builder.Append(text.Value.AsSpan(plain, run.End - plain), run.Origin);
            begin = run.End;
        }

        builder.Append(quote, 1);
        if (text.IsMarkup)
            builder.Append(")");
    }

    private static string? Escape(Rune rune, char quote) => rune.Value switch
    {
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\\' => "\\\\",
        _ when rune.Value == quote => "\\" + quote,
        ' ' => null,
        < 0x20 or 0x7F => $"\\x{rune.Value:x2}",
        < 0x7F => null,
        _ when PythonText.IsPrintable(rune) => null,
        <= 0xFF => $"\\x{rune.Value:x2}",
        <= 0xFFFF => $"\\u{rune.Value:x4}",
        _ => $"\\U{rune.Value:x8}",
    };
}
