namespace DualSparse.Models.Text.Templates;

/// <summary><c>value.name</c> and <c>value[key]</c>. What would change a list or dictionary is refused, as transformers' sandbox does.</summary>
internal static class Attributes
{
    private static readonly HashSet<string> s_listChanges = ["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"];
    private static readonly HashSet<string> s_dictChanges = ["clear", "pop", "popitem", "setdefault", "update"];

    /// <summary>A method or attribute; where there is none, the item of that name.</summary>
    public static object? Attribute(object? value, string name)
    {
        if (Method(value, name) is { } method)
            return method;
        return value switch
        {
            UndefinedValue undefined => throw undefined.Error(),
            DictValue dict when dict.Entries.TryGetValue(new MarkedText(name), out object? item) => item,
            NamespaceValue ns when ns.Attributes.Entries.TryGetValue(new MarkedText(name), out object? item) => item,
            FunctionValue { Attribute: { } attribute } => attribute(name),
            _ => new UndefinedValue($"'{TypeNames.Object(value)}' has no attribute '{name}'"),
        };
    }

    /// <summary>An item; where there is none and the key is a string, the attribute of that name.</summary>
    public static object? Item(object? value, object? key)
    {
        switch (value)
        {
            case UndefinedValue undefined:
                throw undefined.Error();
            case DictValue dict when key is not (ListValue { IsTuple: false } or DictValue):
                if (dict.Entries.TryGetValue(ValueEquality.Key(key), out object? item))
                    return item;
                break;
            case MarkedText text when Numbers.IsWhole(key):
                if (Index(key, text.Count) is { } character && text.Offset((int)character) is var start)
                    return text.Slice(start, start + text.Width(start));
                break;
            case ListValue list when Numbers.IsWhole(key):
                if (Index(key, list.Items.Count) is { } place)
                    return list.Items[(int)place];
                break;
            case RangeValue range when Numbers.IsWhole(key):
                if (Index(key, range.Count) is { } number)
                    return range.Start + (number * range.Step);
                break;
        }

        if (key is not MarkedText name)
            return new UndefinedValue($"{TypeNames.Object(value)} has no element {(key is null || Numbers.Is(key) ? KeyText(key) : $"of type {TypeNames.Of(key)}")}");
        return Method(value, name.Value) is { } method ? method
            : value is NamespaceValue or FunctionValue ? Attribute(value, name.Value)
            : new UndefinedValue($"'{TypeNames.Object(value)}' has no attribute '{JsonField.Shorten(name.Value)}'");
    }

    private static string KeyText(object? key) => key is null ? "None" : key is double number ? Numbers.Text(number) : ValueText.Whole(key);

    private static long? Index(object? key, long count)
    {
        long index = Numbers.Count(key);
        index = index < 0 ? index + count : index;
        return index >= 0 && index < count ? index : null;
    }

    private static object? Method(object? value, string name) => value switch
    {
        MarkedText text => StringMethods.Find(name) is { } body ? new FunctionValue(name, (run, arguments) => body(run, text, arguments)) : null,
        DictValue when s_dictChanges.Contains(name) => Unsafe(value, name),
        DictValue dict => DictMethods.Find(dict, name),
        ListValue { IsTuple: false } when s_listChanges.Contains(name) => Unsafe(value, name),
        ListValue list => ListMethod(list, name),
        _ => null,
    };

    private static FunctionValue? ListMethod(ListValue list, string name) => name switch
    {
        "index" => new(name, (run, arguments) => arguments.Take("value") is var item && list.Items.FindIndex(other => Operators.AreEqual(run, other, item)) is var index and >= 0
            ? (long)index : throw new TemplateError("the value is not in the list")),
        "count" => new(name, (run, arguments) => arguments.Take("value") is var item ? (long)list.Items.Count(other => Operators.AreEqual(run, other, item)) : null),
        "copy" when !list.IsTuple => new(name, (run, _) => run.List(list.Items)),
        _ => null,
    };

    private static UndefinedValue Unsafe(object value, string name) => new($"access to attribute '{name}' of '{TypeNames.Of(value)}' object is unsafe");
}
