namespace DualSparse.Models.Text.Templates;

/// <summary>Filters over lists and other things that can be gone through.</summary>
internal static class SequenceFilters
{
    /// <summary>Adds them to the table.</summary>
    public static void AddTo(Dictionary<string, Func<TemplateRun, Arguments, object?>> filters)
    {
        filters["first"] = First;
        filters["last"] = Last;
        filters["reverse"] = Reverse;
        filters["items"] = Items;
        filters["dictsort"] = DictSort;
        filters["sort"] = Sort;
        filters["unique"] = Unique;
        filters["min"] = (run, a) => Extreme(run, a, sign: -1);
        filters["max"] = (run, a) => Extreme(run, a, sign: 1);
        filters["batch"] = Batch;
        filters["slice"] = Slice;
        filters["groupby"] = GroupBy;
        filters["map"] = Map;
        filters["select"] = (run, a) => Select(run, a, byAttribute: false, keep: true);
        filters["reject"] = (run, a) => Select(run, a, byAttribute: false, keep: false);
        filters["selectattr"] = (run, a) => Select(run, a, byAttribute: true, keep: true);
        filters["rejectattr"] = (run, a) => Select(run, a, byAttribute: true, keep: false);
    }

    private static object? First(TemplateRun run, Arguments arguments)
    {
        object? value = arguments.Take("seq");
        if (value is GeneratorValue generator)
            return generator.TryTake(out object? next) ? next : Empty("first");
        return Operators.Iterate(run, value) is [var first, ..] ? first : Empty("first");
    }

    private static object? Last(TemplateRun run, Arguments arguments)
    {
        object? value = arguments.Take("seq");
        if (value is GeneratorValue)
            throw new TemplateError("'generator' object is not reversible");
        return Operators.Iterate(run, value) is [.., var last] ? last : Empty("last");
    }

    private static UndefinedValue Empty(string which) => new($"no {which} item, sequence was empty");

    private static object? Reverse(TemplateRun run, Arguments arguments)
    {
        object? value = arguments.Take("value");
        var items = run.List(Operators.Iterate(run, value)).Items;
        items.Reverse();
        return value switch
        {
            MarkedText => StringMethods.Join(run, MarkedText.Empty, items),
            GeneratorValue or UndefinedValue => new ListValue(items),
            _ => new GeneratorValue(items, $"{TypeNames.Of(value)}_reverseiterator"),
        };
    }

    private static object? Items(TemplateRun run, Arguments arguments) => arguments.Take("value") switch
    {
        UndefinedValue => new GeneratorValue([]),
        DictValue dict => new GeneratorValue(DictMethods.Pairs(run, dict)),
        _ => throw new TemplateError("can only get item pairs from a mapping"),
    };

    private static object? DictSort(TemplateRun run, Arguments arguments)
    {
        object? value = arguments.Take("value");
        bool caseSensitive = arguments.Flag("case_sensitive", false);
        string by = arguments.Text("by", "key").Value;
        bool reverse = arguments.Flag("reverse", false);
        if (value is not DictValue dict)
            throw value is UndefinedValue undefined ? undefined.Error() : new TemplateError($"'{TypeNames.Of(value)}' object has no attribute 'items'");
        if (by is not ("key" or "value"))
            throw new TemplateError("you can only sort by either \"key\" or \"value\"");
        return Sorted(run, DictMethods.Pairs(run, dict), pair => Fold(run, ((ListValue)pair!).Items[by == "key" ? 0 : 1], caseSensitive), reverse);
    }

    private static object? Sort(TemplateRun run, Arguments arguments)
    {
        object? value = arguments.Take("value");
        bool reverse = arguments.Flag("reverse", false), caseSensitive = arguments.Flag("case_sensitive", false);
        object? attribute = arguments.Take("attribute", null);
        object?[] paths = attribute is MarkedText names ? [.. names.Value.Split(',').Select(name => new MarkedText(name))] : [attribute];
        return Sorted(run, Operators.Iterate(run, value), item => new ListValue([.. paths.Select(path => Fold(run, AttributePath.Of(item, path), caseSensitive))]), reverse);
    }

    // Equal ones stay in their order, in reverse too.
    private static ListValue Sorted(TemplateRun run, List<object?> items, Func<object?, object?> key, bool reverse)
    {
        var keyed = run.List(items).Items.Select(item => (Key: key(item), Item: item)).ToList();
        var order = Comparer<object?>.Create((a, b) => Operators.Order(run, a, b) ?? 0);
        try
        {
            return run.List((reverse ? keyed.OrderByDescending(k => k.Key, order) : keyed.OrderBy(k => k.Key, order)).Select(k => k.Item));
        }
        catch (InvalidOperationException e) when (e.InnerException is TemplateError error)
        {
            throw error;
        }
    }

    private static object? Fold(TemplateRun run, object? value, bool caseSensitive) =>
        value is MarkedText text && !caseSensitive ? StringMethods.Map(run, text, PythonText.Lower) : value;

    private static object? Unique(TemplateRun run, Arguments arguments)
    {
        object? value = arguments.Take("value");
        bool caseSensitive = arguments.Flag("case_sensitive", false);
        object? attribute = arguments.Take("attribute", null);
        var seen = new HashSet<object>(ValueEquality.Instance);
        return new GeneratorValue(run.List(Operators.Iterate(run, value).Where(item => seen.Add(ValueEquality.Key(Fold(run, AttributePath.Of(item, attribute), caseSensitive))))).Items);
    }

    private static object? Extreme(TemplateRun run, Arguments arguments, int sign)
    {
        object? value = arguments.Take("value");
        bool caseSensitive = arguments.Flag("case_sensitive", false);
        object? attribute = arguments.Take("attribute", null);
        var items = Operators.Iterate(run, value);
        if (items.Count == 0)
            return new UndefinedValue("no aggregated item, sequence was empty");
        object? best = items[0], bestKey = Fold(run, AttributePath.Of(best, attribute), caseSensitive);
        foreach (object? item in items.Skip(1))
        {
            object? key = Fold(run, AttributePath.Of(item, attribute), caseSensitive);
            if ((Operators.Order(run, key, bestKey) ?? 0) * sign > 0)
                (best, bestKey) = (item, key);
        }

        return best;
    }

    private static object? Batch(TemplateRun run, Arguments arguments)
    {
        var items = Operators.Iterate(run, arguments.Take("value"));
        int size = (int)Math.Max(1, arguments.Whole("linecount"));
        object? fill = arguments.Take("fill_with", null);
        List<object?> lines = [];
        foreach (object?[] line in items.Chunk(size))
            lines.Add(run.List(fill is null || line.Length == size ? line : [.. line, .. Fill(run, fill, size - line.Length)]));
        return new GeneratorValue(lines);
    }

    private static IEnumerable<object?> Fill(TemplateRun run, object? fill, int count)
    {
        run.Allowance.TakeElements(count);
        return Enumerable.Repeat(fill, count);
    }

    private static object? Slice(TemplateRun run, Arguments arguments)
    {
        var items = Operators.Iterate(run, arguments.Take("value"));
        int slices = (int)arguments.Whole("slices");
        object? fill = arguments.Take("fill_with", null);
        if (slices == 0)
            throw new TemplateError("integer division or modulo by zero");
        run.Allowance.TakeElements(Math.Max(0, slices));
        List<object?> lines = [];
        int offset = 0;
        for (int i = 0; i < slices; i++)
        {
            bool longer = i < items.Count % slices;
            int count = (items.Count / slices) + (longer ? 1 : 0);
            var line = items.GetRange(offset, count);
            offset += count;
            lines.Add(run.List(fill is not null && !longer ? line.Append(fill) : line));
        }

        return new GeneratorValue(lines);
    }

    private static object? GroupBy(TemplateRun run, Arguments arguments)
    {
        object? value = arguments.Take("value"), attribute = arguments.Take("attribute"), otherwise = arguments.Take("default", null);
        bool caseSensitive = arguments.Flag("case_sensitive", false);
        object? Key(object? item) => Fold(run, AttributePath.Of(item, attribute, otherwise), caseSensitive);
        List<object?> groups = [];
        List<object?>? group = null;
        object? last = null;
        foreach (object? item in Sorted(run, Operators.Iterate(run, value), Key, reverse: false).Items)
        {
            if (group is null || !Operators.AreEqual(run, Key(item), last))
            {
                last = Key(item);
                group = [];
                groups.Add(new ListValue([AttributePath.Of(item, attribute, otherwise), new ListValue(group)], IsTuple: true));
            }

            run.Allowance.TakeElements(1);
            group.Add(item);
        }

        return run.List(groups);
    }

    private static object? Map(TemplateRun run, Arguments arguments)
    {
        object? value = arguments.Take("value");
        Func<object?, object?> change;
        if (arguments.Positional.Count == 1 && arguments.Named.Remove("attribute", out object? attribute))
        {
            arguments.Named.Remove("default", out object? otherwise);
            arguments.End();
            change = item => AttributePath.Of(item, attribute, otherwise);
        }
        else
        {
            string name = arguments.Text("name").Value;
            var filter = Filters.Find(name) ?? throw new TemplateError($"no filter named '{JsonField.Shorten(name)}'");
            var more = arguments.Rest();
            Dictionary<string, object?> named = new(arguments.Named, StringComparer.Ordinal);
            arguments.Named.Clear();
            change = item => filter(run, new Arguments(name, [item, .. more], new(named, StringComparer.Ordinal)));
        }

        return new GeneratorValue(Operators.IsTrue(value) ? run.List(Operators.Iterate(run, value).Select(change)).Items : []);
    }

    private static object? Select(TemplateRun run, Arguments arguments, bool byAttribute, bool keep)
    {
        object? value = arguments.Take("value"), attribute = byAttribute ? arguments.Take("attribute") : null;
        Func<object?, bool> test = Operators.IsTrue;
        if (arguments.TryTake("name", out object? name))
        {
            string word = (name as MarkedText)?.Value ?? throw new TemplateError($"the test's name must be str, not {TypeNames.Of(name)}");
            var known = Tests.Find(word) ?? throw new TemplateError($"no test named '{JsonField.Shorten(word)}'");
            var more = arguments.Rest();
            Dictionary<string, object?> named = new(arguments.Named, StringComparer.Ordinal);
            arguments.Named.Clear();
            test = item => known(run, new Arguments(word, [item, .. more], new(named, StringComparer.Ordinal)));
        }

        return new GeneratorValue(Operators.IsTrue(value)
            ? run.List(Operators.Iterate(run, value).Where(item => test(byAttribute ? AttributePath.Of(item, attribute) : item) == keep)).Items : []);
    }
}
