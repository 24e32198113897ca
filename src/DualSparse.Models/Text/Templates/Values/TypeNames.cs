using System.Numerics;

namespace DualSparse.Models.Text.Templates;

/// <summary>What Python calls a value's type, for messages.</summary>
internal static class TypeNames
{
    /// <summary>The type's name.</summary>
    public static string Of(object? value) => value switch
    {
        null => "NoneType",
        bool => "bool",
        long or BigInteger => "int",
        double => "float",
        MarkedText text => text.IsMarkup ? "Markup" : "str",
        ListValue list => list.IsTuple ? "tuple" : "list",
        DictValue => "dict",
        DictView view => view.Kind,
        RangeValue => "range",
        GeneratorValue generator => generator.Kind,
        NamespaceValue => "Namespace",
        UndefinedValue => "Undefined",
        FunctionValue => "function",
        _ => value.GetType().Name,
    };

    /// <summary>How an error about a missing attribute names the value.</summary>
    public static string Object(object? value) => value is null ? "None" : $"{Of(value)} object";
}
