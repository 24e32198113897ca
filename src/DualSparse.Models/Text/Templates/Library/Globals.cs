namespace DualSparse.Models.Text.Templates;

/// <summary>Functions that every template has.</summary>
internal static class Globals
{
    // The sandbox's limit.
    private const long LongestRange = 100_000;

    private static readonly Dictionary<string, FunctionValue> s_functions = new FunctionValue[]
    {
        new("range", Range),
        new("dict", Dict),
        new("namespace", Namespace),
        new("cycler", (_, arguments) => Cycler(arguments.Rest())),
        new("joiner", (_, arguments) => Joiner(arguments.Take("sep", new MarkedText(", ")))),
        new("raise_exception", (run, arguments) => throw new TemplateError(ValueText.Of(run, arguments.Take("message")).Value, ownWords: true)),
        new("strftime_now", StrftimeNow),
    }.ToDictionary(function => function.Name, StringComparer.Ordinal);

    /// <summary>A function; null where there is none of this name.</summary>
    public static FunctionValue? Find(string name) => s_functions.GetValueOrDefault(name);

    private static object StrftimeNow(TemplateRun run, Arguments arguments)
    {
        var format = arguments.Text("format");
        run.AskedTime = true;
        return run.Builder().Append(Strftime.Format(run.Now, format.Value), format.Runs.Length == 1 ? format.Runs[0].Origin : TextOrigin.Template).Build();
    }

    private static object Range(TemplateRun run, Arguments arguments)
    {
        var given = arguments.Rest().Select(value => Numbers.Count(value)).ToArray();
        arguments.End();
        var range = given switch
        {
            [var stop] => new RangeValue(0, stop, 1),
            [var start, var stop] => new(start, stop, 1),
            [var start, var stop, not 0 and var step] => new(start, stop, step),
            [_, _, _] => throw new TemplateError("range() arg 3 must not be zero"),
            _ => throw new TemplateError($"range expected 1 to 3 arguments, got {given.Length}"),
        };
        return range.Count <= LongestRange ? range : throw new TemplateError($"range too big: the sandbox allows at most {LongestRange} numbers");
    }

    private static DictValue Dict(TemplateRun run, Arguments arguments)
    {
        var dict = new DictValue();
        Fill(run, dict, arguments);
        return dict;
    }

    private static NamespaceValue Namespace(TemplateRun run, Arguments arguments)
    {
        var ns = new NamespaceValue();
        Fill(run, ns.Attributes, arguments);
        return ns;
    }

    private static void Fill(TemplateRun run, DictValue dict, Arguments arguments)
    {
        bool given = arguments.TryTake("mapping", out object? from);
        if (from is UndefinedValue undefined)
            throw undefined.Error();
        if (from is DictValue other)
        {
            foreach (var (key, value) in other.Entries)
                dict.Entries[key] = value;
        }
        else if (given)
        {
            foreach (object? pair in Operators.Iterate(run, from))
            {
                if (Operators.Iterate(run, pair) is not [var key, var value])
                    throw new TemplateError("a dictionary needs pairs of key and value");
                dict.Entries[ValueEquality.Key(key)] = value;
            }
        }

        foreach (var (name, value) in arguments.Named)
            dict[name] = value;
        arguments.Named.Clear();
        arguments.End();
        run.Allowance.TakeElements(2 * dict.Entries.Count);
    }

    private static FunctionValue Cycler(List<object?> items)
    {
        if (items.Count == 0)
            throw new TemplateError("at least one item has to be provided");
        int place = 0;
        var next = new FunctionValue("next", (_, _) => items[(place++) % items.Count]);
        var reset = new FunctionValue("reset", (_, _) => place = 0);
        return new("cycler", (_, _) => throw new TemplateError("'Cycler' object is not callable"))
        {
            Attribute = name => name switch
            {
                "next" => next,
                "reset" => reset,
                "current" => items[place % items.Count],
                _ => new UndefinedValue($"'Cycler object' has no attribute '{name}'"),
            },
        };
    }

    private static FunctionValue Joiner(object? between)
    {
        bool used = false;
        return new("joiner", (_, _) =>
        {
            object? result = used ? between : MarkedText.Empty;
            used = true;
            return result;
        });
    }
}
