namespace DualSparse.Models.Text.Templates;

/// <summary>The values that a function is called with. The function takes its parameters one after the other, then says that these were all.</summary>
internal sealed class Arguments(string function, List<object?> positional, Dictionary<string, object?> named)
{
    private int taken;

    /// <summary>Those without a name.</summary>
    public List<object?> Positional => positional;

    /// <summary>Those with a name that no parameter took yet.</summary>
    public Dictionary<string, object?> Named => named;

    /// <summary>The next parameter, which must be given.</summary>
    public object? Take(string name) =>
        TryTake(name, out object? value) ? value : throw new TemplateError($"{function}() missing 1 required positional argument: '{name}'");

    /// <summary>The next parameter, or what it is where it isn't given.</summary>
    public object? Take(string name, object? otherwise) => TryTake(name, out object? value) ? value : otherwise;

    /// <summary>The next parameter, whether it is given or not.</summary>
    public bool TryTake(string name, out object? value)
    {
        bool byName = named.Remove(name, out value);
        if (taken >= positional.Count)
            return byName;
        if (byName)
            throw new TemplateError($"{function}() got multiple values for argument '{name}'");
        value = positional[taken++];
        return true;
    }

    /// <summary>The next parameter as text.</summary>
    public MarkedText Text(string name, string? otherwise = null) => TakeOr(name, otherwise is null ? null : new MarkedText(otherwise)) switch
    {
        MarkedText text => text,
        UndefinedValue undefined => throw undefined.Error(),
        var other => throw new TemplateError($"{function}() argument '{name}' must be str, not {TypeNames.Of(other)}"),
    };

    /// <summary>The next parameter as a whole number.</summary>
    public long Whole(string name, long? otherwise = null) => Numbers.Count(TakeOr(name, otherwise));

    /// <summary>The next parameter as a truth value.</summary>
    public bool Flag(string name, bool otherwise) => Operators.IsTrue(Take(name, otherwise));

    /// <summary>Those without a name that no parameter took.</summary>
    public List<object?> Rest()
    {
        var rest = positional[taken..];
        taken = positional.Count;
        return rest;
    }

    /// <summary>There are no more parameters.</summary>
    public void End()
    {
        if (taken < positional.Count)
            throw new TemplateError($"{function}() takes {taken} positional arguments but {positional.Count} were given");
        if (named.Count > 0)
            throw new TemplateError($"{function}() got an unexpected keyword argument '{named.Keys.First()}'");
    }

    private object? TakeOr(string name, object? otherwise) => otherwise is null ? Take(name) : Take(name, otherwise);
}
