using System.Numerics;

namespace DualSparse.Models.Text.Templates;

/// <summary>Python's operators over values.</summary>
internal static class Operators
{
    /// <summary>Whether a value counts as true.</summary>
    public static bool IsTrue(object? value) => value switch
    {
        null or UndefinedValue => false,
        bool flag => flag,
        long number => number != 0,
        double number => number != 0,
        BigInteger => true,
        MarkedText text => text.Value.Length > 0,
        ListValue list => list.Items.Count > 0,
        DictValue dict => dict.Entries.Count > 0,
        DictView view => view.Items.Count > 0,
        RangeValue range => range.Count > 0,
        _ => true,
    };

    /// <summary>Whether two values are equal.</summary>
    public static bool AreEqual(TemplateRun run, object? a, object? b)
    {
        run.Allowance.Step();
        switch (a, b)
        {
            case (MarkedText x, MarkedText y):
                run.Allowance.Pass(x.Value.Length == y.Value.Length ? x.Value.Length : 0);
                return x.Equals(y);
            case (null, null) or (UndefinedValue, UndefinedValue):
                return true;
            case (ListValue x, ListValue y):
                return x.IsTuple == y.IsTuple && AreEqual(run, x.Items, y.Items);
            case (DictView x, DictView y):
                return x.Kind == y.Kind && AreEqual(run, x.Items, y.Items);
            case (RangeValue x, RangeValue y):
                return x.Count == y.Count && (x.Count == 0 || (x.Start == y.Start && (x.Count == 1 || x.Step == y.Step)));
            case (DictValue x, DictValue y):
                run.Allowance.Enter();
                bool same = x.Entries.Count == y.Entries.Count
                    && x.Entries.All(entry => y.Entries.TryGetValue(entry.Key, out object? other) && AreEqual(run, entry.Value, other));
                run.Allowance.Leave();
                return same;
        }

        return Numbers.Is(a) && Numbers.Is(b) ? Numbers.Compare(a!, b!) == 0 : ReferenceEquals(a, b);
    }

    /// <summary>A comparison: ==, !=, &lt;, &lt;=, &gt;, &gt;=, in, not in.</summary>
    public static bool Compare(TemplateRun run, string sign, object? a, object? b) => sign switch
    {
        "==" => AreEqual(run, a, b),
        "!=" => !AreEqual(run, a, b),
        "in" => Contains(run, b, a),
        "not in" => !Contains(run, b, a),
        _ => Order(run, a, b, sign) is { } order && sign switch { "<" => order < 0, "<=" => order <= 0, ">" => order > 0, _ => order >= 0 },
    };

    /// <summary>Which of two values comes first; null where neither does (NaN).</summary>
    /// <exception cref="TemplateError">They have no order.</exception>
    public static int? Order(TemplateRun run, object? a, object? b, string sign = "<")
    {
        run.Allowance.Step();
        switch (a, b)
        {
            case (UndefinedValue undefined, _):
                throw undefined.Error();
            case (_, UndefinedValue undefined):
                throw undefined.Error();
            case (MarkedText x, MarkedText y):
                run.Allowance.Pass(Math.Min(x.Value.Length, y.Value.Length));
                return CompareCodePoints(x.Value, y.Value);
            case (ListValue x, ListValue y) when x.IsTuple == y.IsTuple:
                run.Allowance.Enter();
                int? order = x.Items.Count.CompareTo(y.Items.Count);
                for (int i = 0; i < Math.Min(x.Items.Count, y.Items.Count); i++)
                {
                    if (!AreEqual(run, x.Items[i], y.Items[i]))
                    {
                        order = Order(run, x.Items[i], y.Items[i], sign);
                        break;
                    }
                }

                run.Allowance.Leave();
                return order;
        }

        return Numbers.Is(a) && Numbers.Is(b)
            ? Numbers.Compare(a!, b!)
            : throw new TemplateError($"'{sign}' not supported between instances of '{TypeNames.Of(a)}' and '{TypeNames.Of(b)}'");
    }

    /// <summary>Whether <paramref name="container"/> has <paramref name="item"/> in it.</summary>
    public static bool Contains(TemplateRun run, object? container, object? item)
    {
        switch (container)
        {
            case MarkedText text:
                if (item is not MarkedText part)
                    throw new TemplateError($"'in <string>' requires string as left operand, not {TypeNames.Of(item)}");
                return TextSearch.Find(run, text.Value, part.Value) >= 0;
            case DictValue dict:
                return dict.Entries.ContainsKey(ValueEquality.Key(item));
            case null or bool or long or double or BigInteger or FunctionValue or NamespaceValue:
                throw new TemplateError($"argument of type '{TypeNames.Of(container)}' is not iterable");
            default:
                return Iterate(run, container).Any(element => AreEqual(run, element, item));
        }
    }

    /// <summary>What a loop over a value goes through.</summary>
    public static List<object?> Iterate(TemplateRun run, object? value)
    {
        switch (value)
        {
            case ListValue list:
                return list.Items;
            case DictValue dict:
                return [.. dict.Entries.Keys.Select(ValueEquality.Value)];
            case DictView view:
                return view.Items;
            case GeneratorValue generator:
                return generator.TakeAll();
            case UndefinedValue:
                return [];
            case MarkedText text:
                run.Allowance.TakeElements(text.Value.Length);
                List<object?> characters = [];
                for (int i = 0, width; i < text.Value.Length; i += width)
                {
                    width = text.Width(i);
                    characters.Add(text.Slice(i, i + width));
                }

                return characters;
            case RangeValue range:
                run.Allowance.TakeElements(range.Count);
                List<object?> numbers = [];
                for (long i = 0; i < range.Count; i++)
                    numbers.Add(range.Start + (i * range.Step));
                return numbers;
            default:
                throw new TemplateError($"'{TypeNames.Of(value)}' object is not iterable");
        }
    }

    /// <summary>How many a value holds.</summary>
    public static long Length(object? value) => value switch
    {
        MarkedText text => text.Count,
        ListValue list => list.Items.Count,
        DictValue dict => dict.Entries.Count,
        DictView view => view.Items.Count,
        RangeValue range => range.Count,
        UndefinedValue => 0,
        _ => throw new TemplateError($"object of type '{TypeNames.Of(value)}' has no len()"),
    };

    /// <summary>+, -, *, /, //, %, **.</summary>
    public static object? Binary(TemplateRun run, string sign, object? a, object? b)
    {
        switch (sign, a, b)
        {
            case (_, UndefinedValue undefined, _):
                throw undefined.Error();
            case ("%", MarkedText format, _):
                return PercentFormat.Apply(run, format, b);
            case (_, _, UndefinedValue undefined):
                throw undefined.Error();
            case ("+", MarkedText x, MarkedText y):
                return Concatenate(run, x, y);
            case ("+", ListValue x, ListValue y) when x.IsTuple == y.IsTuple:
                return run.List(x.Items.Concat(y.Items), x.IsTuple);
            case ("*", MarkedText or ListValue, _) when Numbers.IsWhole(b):
                return Repeat(run, a!, Numbers.Count(b));
            case ("*", _, MarkedText or ListValue) when Numbers.IsWhole(a):
                return Repeat(run, b!, Numbers.Count(a));
            case ("+", MarkedText, _):
                throw new TemplateError($"can only concatenate str (not \"{TypeNames.Of(b)}\") to str");
            case ("+", ListValue list, _):
                throw new TemplateError($"can only concatenate {TypeNames.Of(list)} (not \"{TypeNames.Of(b)}\") to {TypeNames.Of(list)}");
        }

        return Numbers.Is(a) && Numbers.Is(b)
            ? Numbers.Operate(sign, a!, b!)
            : throw new TemplateError($"unsupported operand type(s) for {(sign == "**" ? "** or pow()" : sign)}: '{TypeNames.Of(a)}' and '{TypeNames.Of(b)}'");
    }

    /// <summary>- and + before a value.</summary>
    public static object Negate(object? value, bool negative) => value switch
    {
        UndefinedValue undefined => throw undefined.Error(),
        double number => negative ? -number : number,
        not null when Numbers.IsWhole(value) => Numbers.Of(negative ? -Numbers.Whole(value) : Numbers.Whole(value)),
        _ => throw new TemplateError($"bad operand type for unary {(negative ? '-' : '+')}: '{TypeNames.Of(value)}'"),
    };

    private static bool AreEqual(TemplateRun run, List<object?> a, List<object?> b)
    {
        run.Allowance.Enter();
        bool same = a.Count == b.Count;
        for (int i = 0; same && i < a.Count; i++)
            same = AreEqual(run, a[i], b[i]);
        run.Allowance.Leave();
        return same;
    }

    private static MarkedText Concatenate(TemplateRun run, MarkedText a, MarkedText b)
    {
        bool markup = a.IsMarkup || b.IsMarkup;
        if (markup)
            (a, b) = (Escaping.Escape(run, a), Escaping.Escape(run, b));
        return b.Value.Length == 0 && a.IsMarkup == markup ? a : run.Builder().Append(a).Append(b).Build(markup);
    }

    private static object Repeat(TemplateRun run, object value, long times)
    {
        times = Math.Max(times, 0);
        if (value is ListValue list)
        {
            run.Allowance.TakeElements(list.Items.Count * times);
            return new ListValue([.. Enumerable.Range(0, list.Items.Count == 0 ? 0 : (int)times).SelectMany(_ => list.Items)], list.IsTuple);
        }

        var text = (MarkedText)value;
        if (text.Value.Length == 0)
            return text;
        // Before the first is made.
        run.Allowance.Take(text.Value.Length * times);
        var builder = run.Builder();
        for (long i = 0; i < times; i++)
            builder.Append(text);
        return builder.Build(text.IsMarkup);
    }

    // UTF-16 puts surrogates before U+E000 to U+FFFF; code points have them after.
    private static int CompareCodePoints(string a, string b)
    {
        int same = a.AsSpan().CommonPrefixLength(b);
        if (same == a.Length || same == b.Length)
            return a.Length.CompareTo(b.Length);
        char x = a[same], y = b[same];
        return char.IsSurrogate(x) == char.IsSurrogate(y) ? x.CompareTo(y) : char.IsSurrogate(x) ? (y >= '\uE000' ? 1 : x.CompareTo(y)) : x >= '\uE000' ? -1 : x.CompareTo(y);
    }
}
