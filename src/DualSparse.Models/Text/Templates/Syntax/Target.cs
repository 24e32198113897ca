namespace DualSparse.Models.Text.Templates;

/// <summary>What a value is assigned to: a name, an attribute of a namespace, or several of them.</summary>
/// <param name="Name">The name.</param>
/// <param name="Attribute">The attribute of the namespace of that name; null: the name itself.</param>
/// <param name="Parts">Several; then there is no name.</param>
internal sealed record Target(string Name, string? Attribute = null, List<Target>? Parts = null)
{
    /// <summary>Assigns a value.</summary>
    public void Assign(Scope scope, object? value)
    {
        if (Parts is not null)
        {
            var items = Operators.Iterate(scope.Run, value is UndefinedValue or null || !IsIterable(value) ? throw CannotUnpack(value) : value);
            if (items.Count < Parts.Count)
                throw new TemplateError($"not enough values to unpack (expected {Parts.Count}, got {items.Count})");
            if (items.Count > Parts.Count)
                throw new TemplateError($"too many values to unpack (expected {Parts.Count})");
            for (int i = 0; i < items.Count; i++)
                Parts[i].Assign(scope, items[i]);
        }
        else if (Attribute is null)
        {
            scope[Name] = value;
        }
        else if (scope.Find(Name) is NamespaceValue ns)
        {
            scope.Run.Allowance.TakeElements(1);
            ns.Attributes[Attribute] = value;
        }
        else
        {
            throw new TemplateError("cannot assign attribute on non-namespace object");
        }
    }

    private static bool IsIterable(object value) => value is MarkedText or ListValue or DictValue or DictView or GeneratorValue or RangeValue;

    private static TemplateError CannotUnpack(object? value) => value is UndefinedValue
        ? new("not enough values to unpack (expected more, got 0)")
        : new($"cannot unpack non-iterable {TypeNames.Of(value)} object");
}
