namespace DualSparse.Models.Text.Templates;

/// <summary>The arguments of a call, a filter or a test, as they are written.</summary>
/// <param name="Positional">Those without a name.</param>
/// <param name="Named">Those with one.</param>
/// <param name="MorePositional">What stands behind <c>*</c>.</param>
/// <param name="MoreNamed">What stands behind <c>**</c>.</param>
internal sealed record ArgumentList(List<Expression> Positional, List<(string Name, Expression Value)> Named, Expression? MorePositional, Expression? MoreNamed)
{
    /// <summary>None.</summary>
    public static readonly ArgumentList None = new([], [], null, null);

    /// <summary>Their values, behind those that <paramref name="first"/> has.</summary>
    public Arguments Evaluate(Scope scope, string function, params ReadOnlySpan<object?> first)
    {
        List<object?> positional = [.. first];
        foreach (var value in Positional)
            positional.Add(value.Evaluate(scope));
        Dictionary<string, object?> named = new(StringComparer.Ordinal);
        foreach (var (name, value) in Named)
        {
            if (!named.TryAdd(name, value.Evaluate(scope)))
                throw new TemplateError($"keyword argument repeated: {name}");
        }

        if (MorePositional is not null)
            positional.AddRange(scope.Run.List(Operators.Iterate(scope.Run, MorePositional.Evaluate(scope))).Items);
        if (MoreNamed?.Evaluate(scope) is { } more)
        {
            if (more is not DictValue dict)
                throw new TemplateError($"the argument after ** must be a mapping, not {TypeNames.Of(more)}");
            foreach (var (key, value) in dict.Entries)
            {
                if (key is not MarkedText name || !named.TryAdd(name.Value, value))
                    throw new TemplateError($"{function}() got an argument twice, or one whose name is no string");
            }
        }

        scope.Run.Allowance.TakeElements(positional.Count + named.Count);
        return new(function, positional, named);
    }
}

/// <summary><c>value(…)</c></summary>
internal sealed record CallExpression(int Position, Expression Value, ArgumentList Arguments) : Expression(Position)
{
    /// <inheritdoc/>
    protected override object? Compute(Scope scope) => Call(scope, null);

    /// <summary>Calls it; with what <c>caller</c> is, where it is a call block's.</summary>
    public object? Call(Scope scope, FunctionValue? caller)
    {
        object? value = Value.Evaluate(scope);
        if (value is UndefinedValue undefined)
            throw undefined.Error();
        var function = value as FunctionValue;
        var arguments = Arguments.Evaluate(scope, function?.Name ?? "");
        if (caller is not null)
            arguments.Named["caller"] = caller;
        scope.Run.Position = Position;
        return function is not null ? function.Call(scope.Run, arguments) : throw new TemplateError($"'{TypeNames.Of(value)}' object is not callable");
    }
}

/// <summary><c>value | name(…)</c>; without a value it is the filter of a block, whose text is given.</summary>
internal sealed record FilterExpression(int Position, Expression? Value, string Name, ArgumentList Arguments) : Expression(Position)
{
    /// <inheritdoc/>
    protected override object? Compute(Scope scope) => Apply(scope, MarkedText.Empty);

    /// <summary>Applies it, and those before it, to the text of a block.</summary>
    public object? Apply(Scope scope, MarkedText block)
    {
        // A chain of filters doesn't go through Evaluate.
        scope.Run.Allowance.Step();
        object? value = Value is FilterExpression before ? before.Apply(scope, block) : Value is null ? block : Value.Evaluate(scope);
        var filter = Filters.Find(Name) ?? throw new TemplateError($"no filter named '{Name}'");
        var arguments = Arguments.Evaluate(scope, Name, value);
        scope.Run.Position = Position;
        return filter(scope.Run, arguments);
    }
}

/// <summary><c>value is name(…)</c></summary>
internal sealed record TestExpression(int Position, Expression Value, string Name, ArgumentList Arguments) : Expression(Position)
{
    /// <inheritdoc/>
    protected override object? Compute(Scope scope)
    {
        object? value = Value.Evaluate(scope);
        var test = Tests.Find(Name) ?? throw new TemplateError($"no test named '{Name}'");
        var arguments = Arguments.Evaluate(scope, Name, value);
        scope.Run.Position = Position;
        return test(scope.Run, arguments);
    }
}
