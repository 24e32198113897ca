namespace DualSparse.Models.Text.Templates;

/// <summary>The methods of a dictionary that don't change it.</summary>
internal static class DictMethods
{
    /// <summary>A method; null where there is none of this name.</summary>
    public static FunctionValue? Find(DictValue dict, string name) => name switch
    {
        "get" => new(name, (_, arguments) => Get(dict, arguments)),
        "items" => new(name, (run, arguments) => End(arguments, new DictView("dict_items", Pairs(run, dict)))),
        "keys" => new(name, (run, arguments) => End(arguments, new DictView("dict_keys", run.List(dict.Entries.Keys.Select(ValueEquality.Value)).Items))),
        "values" => new(name, (run, arguments) => End(arguments, new DictView("dict_values", run.List(dict.Entries.Values).Items))),
        "copy" => new(name, (run, arguments) => End(arguments, Copy(run, dict))),
        _ => null,
    };

    /// <summary>Its entries as tuples.</summary>
    public static List<object?> Pairs(TemplateRun run, DictValue dict) =>
        run.List(dict.Entries.Select(entry => (object?)run.List([ValueEquality.Value(entry.Key), entry.Value], isTuple: true))).Items;

    /// <summary>Another one with the same entries.</summary>
    public static DictValue Copy(TemplateRun run, DictValue dict)
    {
        run.Allowance.TakeElements(2 * dict.Entries.Count);
        var copy = new DictValue();
        foreach (var (key, value) in dict.Entries)
            copy.Entries[key] = value;
        return copy;
    }

    private static object? Get(DictValue dict, Arguments arguments)
    {
        object? key = arguments.Take("key"), otherwise = arguments.Take("default", null);
        arguments.End();
        return dict.Entries.TryGetValue(ValueEquality.Key(key), out object? value) ? value : otherwise;
    }

    private static object End(Arguments arguments, object result)
    {
        arguments.End();
        return result;
    }
}
