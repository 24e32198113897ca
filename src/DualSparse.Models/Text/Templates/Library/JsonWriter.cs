using System.Numerics;

namespace DualSparse.Models.Text.Templates;

/// <summary>The filter <c>tojson</c>: Python's <c>json.dumps</c>, without escapes for letters beyond ASCII unless they are asked for.</summary>
internal sealed class JsonWriter(TemplateRun run, string? indent, string between, string colon, bool sortKeys, bool ascii)
{
    private readonly MarkedTextBuilder builder = run.Builder();
    private int depth;

    /// <summary>The filter.</summary>
    public static object Filter(TemplateRun run, Arguments arguments)
    {
        object? value = arguments.Take("x");
        bool ascii = arguments.Flag("ensure_ascii", false);
        string? indent = arguments.Take("indent", null) switch
        {
            null => null,
            MarkedText text => text.Value,
            // More than any JSON is indented by; each line has it anew and counts.
            var number => new string(' ', (int)Math.Clamp(Numbers.Count(number), 0, 1000)),
        };
        var separators = arguments.Take("separators", null) is { } given ? Operators.Iterate(run, given) : [new MarkedText(indent is null ? ", " : ","), new MarkedText(": ")];
        if (separators is not [MarkedText between, MarkedText colon])
            throw new TemplateError("separators must be two strings");
        bool sortKeys = arguments.Flag("sort_keys", false);
        arguments.End();
        var writer = new JsonWriter(run, indent, between.Value, colon.Value, sortKeys, ascii);
        writer.Write(value);
        return writer.builder.Build();
    }

    private void Write(object? value)
    {
        run.Allowance.Step();
        switch (value)
        {
            case null:
                builder.Append("null");
                break;
            case bool flag:
                builder.Append(flag ? "true" : "false");
                break;
            case long or BigInteger:
                builder.Append(ValueText.Whole(value));
                break;
            case double number:
                builder.Append(Number(number));
                break;
            case MarkedText text:
                WriteText(text);
                break;
            case ListValue list:
                WriteAll("[", "]", list.Items.Select(item => ((MarkedText?)null, item)), list.Items.Count);
                break;
            case DictValue dict:
                var entries = dict.Entries.AsEnumerable();
                if (sortKeys)
                    entries = entries.Order(Comparer<KeyValuePair<object, object?>>.Create((a, b) => Operators.Order(run, ValueEquality.Value(a.Key), ValueEquality.Value(b.Key)) ?? 0));
                WriteAll("{", "}", entries.Select(entry => ((MarkedText?)Key(ValueEquality.Value(entry.Key)), entry.Value)), dict.Entries.Count);
                break;
            default:
                throw new TemplateError($"Object of type {TypeNames.Of(value)} is not JSON serializable");
        }
    }

    private static string Number(double number) => double.IsNaN(number) ? "NaN" : double.IsInfinity(number) ? (number > 0 ? "Infinity" : "-Infinity") : Numbers.Text(number);

    private static MarkedText Key(object? key) => key switch
    {
        MarkedText text => text,
        null => new("null"),
        bool flag => new(flag ? "true" : "false"),
        long or BigInteger => new(ValueText.Whole(key)),
        double number => new(Number(number)),
        _ => throw new TemplateError($"keys must be str, int, float, bool or None, not {TypeNames.Of(key)}"),
    };

    private void WriteAll(string open, string close, IEnumerable<(MarkedText? Key, object? Value)> items, int count)
    {
        builder.Append(open);
        if (count > 0)
        {
            run.Allowance.Enter();
            depth++;
            bool first = true;
            foreach (var (key, value) in items)
            {
                if (!first)
                    builder.Append(between);
                first = false;
                BreakLine();
                if (key is not null)
                {
                    WriteText(key);
                    builder.Append(colon);
                }

                Write(value);
            }

            depth--;
            BreakLine();
            run.Allowance.Leave();
        }

        builder.Append(close);
    }

    private void BreakLine()
    {
        if (indent is null)
            return;
        builder.Append("\n");
        for (int i = 0; i < depth; i++)
            builder.Append(indent);
    }

    private void WriteText(MarkedText text)
    {
        builder.Append("\"");
        int begin = 0;
        foreach (var part in text.Runs)
        {
            int plain = begin;
            for (int i = begin; i < part.End; i++)
            {
                if (Escape(text.Value[i]) is { } escape)
                {
                    builder.Append(text.Value.AsSpan(plain, i - plain), part.Origin).Append(escape, part.Origin);
                    plain = i + 1;
                }
            }

            builder.Append(text.Value.AsSpan(plain, part.End - plain), part.Origin);
            begin = part.End;
        }

        builder.Append("\"");
    }

    private string? Escape(char c) => c switch
    {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\b' => "\\b",
        '\f' => "\\f",
        < ' ' => $"\\u{(int)c:x4}",
        > '~' when ascii => $"\\u{(int)c:x4}",
        _ => null,
    };
}
