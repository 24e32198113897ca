namespace DualSparse.Models.Text.Templates;

/// <summary>The tests behind <c>is</c>.</summary>
internal static class Tests
{
    private static readonly Dictionary<string, Func<TemplateRun, Arguments, bool>> s_tests = new(StringComparer.Ordinal)
    {
        ["defined"] = (_, a) => a.Take("value") is not UndefinedValue,
        ["undefined"] = (_, a) => a.Take("value") is UndefinedValue,
        ["none"] = (_, a) => a.Take("value") is null,
        ["boolean"] = (_, a) => a.Take("value") is bool,
        ["true"] = (_, a) => a.Take("value") is true,
        ["false"] = (_, a) => a.Take("value") is false,
        ["integer"] = (_, a) => a.Take("value") is var value && Numbers.IsWhole(value) && value is not bool,
        ["float"] = (_, a) => a.Take("value") is double,
        ["number"] = (_, a) => Numbers.Is(a.Take("value")),
        ["string"] = (_, a) => a.Take("value") is MarkedText,
        ["mapping"] = (_, a) => a.Take("value") is DictValue,
        ["sequence"] = (_, a) => a.Take("value") is MarkedText or ListValue or DictValue or RangeValue or UndefinedValue,
        ["iterable"] = (_, a) => a.Take("value") is MarkedText or ListValue or DictValue or DictView or GeneratorValue or RangeValue or UndefinedValue,
        ["callable"] = (_, a) => a.Take("value") is FunctionValue,
        ["escaped"] = (_, a) => a.Take("value") is MarkedText { IsMarkup: true },
        ["sameas"] = (run, a) => SameAs(run, a.Take("value"), a.Take("other")),
        ["odd"] = (run, a) => Remainder(run, a.Take("value"), 2L) is var rest && Numbers.Is(rest) && Numbers.Float(rest!) == 1,
        ["even"] = (run, a) => Remainder(run, a.Take("value"), 2L) is var rest && Numbers.Is(rest) && Numbers.Float(rest!) == 0,
        ["divisibleby"] = (run, a) => Remainder(run, a.Take("value"), a.Take("num")) is var rest && Numbers.Is(rest) && Numbers.Float(rest!) == 0,
        ["lower"] = (run, a) => ValueText.Of(run, a.Take("value")).Value is var text && PythonText.AllCased(text, System.Text.Rune.IsLower),
        ["upper"] = (run, a) => ValueText.Of(run, a.Take("value")).Value is var text && PythonText.AllCased(text, System.Text.Rune.IsUpper),
        ["in"] = (run, a) => a.Take("value") is var value && Operators.Contains(run, a.Take("seq"), value),
        ["filter"] = (_, a) => a.Take("value") is MarkedText name && Filters.Find(name.Value) is not null,
        ["test"] = (_, a) => a.Take("value") is MarkedText name && Find(name.Value) is not null,
    };

    static Tests()
    {
        foreach (var (sign, names) in new (string Sign, string[] Names)[]
        {
            ("==", ["==", "eq", "equalto"]), ("!=", ["!=", "ne"]), (">", [">", "gt", "greaterthan"]), (">=", [">=", "ge"]), ("<", ["<", "lt", "lessthan"]), ("<=", ["<=", "le"]),
        })
        {
            foreach (string name in names)
                s_tests[name] = (run, a) => Operators.Compare(run, sign, a.Take("a"), a.Take("b"));
        }
    }

    /// <summary>A test; null where there is none of this name.</summary>
    public static Func<TemplateRun, Arguments, bool>? Find(string name) => !s_tests.TryGetValue(name, out var test) ? null : (run, arguments) =>
    {
        bool result = test(run, arguments);
        arguments.End();
        return result;
    };

    private static object? Remainder(TemplateRun run, object? value, object? by) => Operators.Binary(run, "%", value, by);

    private static bool SameAs(TemplateRun run, object? a, object? b) =>
        a is null || b is null || a is bool || b is bool ? Equals(a, b) : a is long or MarkedText ? Operators.AreEqual(run, a, b) : ReferenceEquals(a, b);
}
