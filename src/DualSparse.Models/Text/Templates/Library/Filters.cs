namespace DualSparse.Models.Text.Templates;

/// <summary>The filters behind <c>|</c>, by name: jinja2's own but those for web pages, and transformers' <c>tojson</c>.</summary>
internal static class Filters
{
    private static readonly Dictionary<string, Func<TemplateRun, Arguments, object?>> s_filters = new(StringComparer.Ordinal)
    {
        ["tojson"] = JsonWriter.Filter,
        ["default"] = Default,
        ["d"] = Default,
        ["length"] = (_, a) => Operators.Length(a.Take("obj")),
        ["count"] = (_, a) => Operators.Length(a.Take("obj")),
        ["list"] = (run, a) => run.List(Operators.Iterate(run, a.Take("value"))),
        ["string"] = (run, a) => ValueText.Of(run, a.Take("value")),
        ["safe"] = (run, a) => ValueText.Of(run, a.Take("value")).AsMarkup(true),
        ["escape"] = (run, a) => Escaping.Escape(run, ValueText.Of(run, a.Take("value"))),
        ["e"] = (run, a) => Escaping.Escape(run, ValueText.Of(run, a.Take("value"))),
        ["forceescape"] = (run, a) => Escaping.Escape(run, ValueText.Of(run, a.Take("value")).AsMarkup(false)),
        ["attr"] = (_, a) => a.Take("obj") is var value && Attributes.Attribute(value, a.Text("name").Value) is var found && value is DictValue && found is not FunctionValue
            ? new UndefinedValue("'dict object' has no such attribute") : found,
        ["abs"] = (_, a) => a.Take("x") switch
        {
            double number => Math.Abs(number),
            not null and var value when Numbers.IsWhole(value) => Numbers.Of(System.Numerics.BigInteger.Abs(Numbers.Whole(value))),
            UndefinedValue undefined => throw undefined.Error(),
            var value => throw new TemplateError($"bad operand type for abs(): '{TypeNames.Of(value)}'"),
        },
        ["int"] = NumberFilters.Int,
        ["float"] = NumberFilters.Float,
        ["round"] = NumberFilters.Round,
        ["sum"] = NumberFilters.Sum,
        ["filesizeformat"] = NumberFilters.FileSize,
    };

    static Filters()
    {
        TextFilters.AddTo(s_filters);
        SequenceFilters.AddTo(s_filters);
    }

    /// <summary>A filter; null where there is none of this name.</summary>
    public static Func<TemplateRun, Arguments, object?>? Find(string name) => !s_filters.TryGetValue(name, out var filter) ? null : (run, arguments) =>
    {
        object? result = filter(run, arguments);
        arguments.End();
        return result;
    };

    private static object? Default(TemplateRun run, Arguments arguments)
    {
        object? value = arguments.Take("value"), otherwise = arguments.Take("default_value", MarkedText.Empty);
        bool alsoFalse = arguments.Flag("boolean", false);
        return value is UndefinedValue || (alsoFalse && !Operators.IsTrue(value)) ? otherwise : value;
    }
}
