namespace DualSparse.Models.Text.Templates;

/// <summary>A part of a template that has a value.</summary>
/// <param name="Position">Where it stands in the source.</param>
internal abstract record Expression(int Position)
{
    /// <summary>Its value.</summary>
    public object? Evaluate(Scope scope)
    {
        scope.Run.Position = Position;
        scope.Run.Allowance.Step();
        return Compute(scope);
    }

    /// <summary>Its value, computed.</summary>
    protected abstract object? Compute(Scope scope);
}

/// <summary>A number, a string, true, false or none.</summary>
internal sealed record Literal(int Position, object? Value) : Expression(Position)
{
    /// <inheritdoc/>
    protected override object? Compute(Scope scope) => Value;
}

/// <summary>A name.</summary>
internal sealed record NameExpression(int Position, string Name) : Expression(Position)
{
    /// <inheritdoc/>
    protected override object? Compute(Scope scope) => scope.Find(Name);
}

/// <summary>A list or a tuple.</summary>
internal sealed record ListExpression(int Position, List<Expression> Items, bool IsTuple) : Expression(Position)
{
    /// <inheritdoc/>
    protected override object? Compute(Scope scope) => scope.Run.List(Items.Select(item => item.Evaluate(scope)), IsTuple);
}

/// <summary>A dictionary.</summary>
internal sealed record DictExpression(int Position, List<(Expression Key, Expression Value)> Items) : Expression(Position)
{
    /// <inheritdoc/>
    protected override object? Compute(Scope scope)
    {
        scope.Run.Allowance.TakeElements(2 * Items.Count);
        var dict = new DictValue();
        foreach (var (key, value) in Items)
            dict.Entries[ValueEquality.Key(key.Evaluate(scope))] = value.Evaluate(scope);
        return dict;
    }
}

/// <summary>- or + before a value.</summary>
internal sealed record SignExpression(int Position, bool Negative, Expression Value) : Expression(Position)
{
    /// <inheritdoc/>
    protected override object? Compute(Scope scope) => Operators.Negate(Value.Evaluate(scope), Negative);
}

/// <summary>An arithmetic operator between two values; + also joins strings and lists, % also formats.</summary>
internal sealed record BinaryExpression(int Position, string Sign, Expression Left, Expression Right) : Expression(Position)
{
    /// <inheritdoc/>
    protected override object? Compute(Scope scope)
    {
        object? left = Left.Evaluate(scope), right = Right.Evaluate(scope);
        scope.Run.Position = Position;
        return Operators.Binary(scope.Run, Sign, left, right);
    }
}

/// <summary>Values joined as text: <c>a ~ b</c>.</summary>
internal sealed record ConcatenationExpression(int Position, List<Expression> Parts) : Expression(Position)
{
    /// <inheritdoc/>
    protected override object? Compute(Scope scope)
    {
        var builder = scope.Run.Builder();
        foreach (var part in Parts)
            ValueText.Print(scope.Run, builder, part.Evaluate(scope));
        return builder.Build();
    }
}

/// <summary>One comparison or a chain of them, such as <c>a &lt; b &lt; c</c>.</summary>
internal sealed record CompareExpression(int Position, Expression First, List<(string Sign, Expression Value)> Rest) : Expression(Position)
{
    /// <inheritdoc/>
    protected override object? Compute(Scope scope)
    {
        object? left = First.Evaluate(scope);
        foreach (var (sign, value) in Rest)
        {
            object? right = value.Evaluate(scope);
            scope.Run.Position = Position;
            if (!Operators.Compare(scope.Run, sign, left, right))
                return false;
            left = right;
        }

        return true;
    }
}

/// <summary><c>and</c> and <c>or</c>: the last value that was needed.</summary>
internal sealed record LogicExpression(int Position, bool IsAnd, Expression Left, Expression Right) : Expression(Position)
{
    /// <inheritdoc/>
    protected override object? Compute(Scope scope)
    {
        object? left = Left.Evaluate(scope);
        return Operators.IsTrue(left) == IsAnd ? Right.Evaluate(scope) : left;
    }
}

/// <summary><c>not</c></summary>
internal sealed record NotExpression(int Position, Expression Value) : Expression(Position)
{
    /// <inheritdoc/>
    protected override object? Compute(Scope scope) => !Operators.IsTrue(Value.Evaluate(scope));
}

/// <summary><c>a if b else c</c></summary>
internal sealed record ConditionalExpression(int Position, Expression Condition, Expression Then, Expression? Else) : Expression(Position)
{
    /// <inheritdoc/>
    protected override object? Compute(Scope scope) =>
        Operators.IsTrue(Condition.Evaluate(scope)) ? Then.Evaluate(scope)
            : Else is not null ? Else.Evaluate(scope)
            : new UndefinedValue("the inline if-expression evaluated to false and no else section was defined");
}

/// <summary><c>value.name</c></summary>
internal sealed record AttributeExpression(int Position, Expression Value, string Name) : Expression(Position)
{
    /// <inheritdoc/>
    protected override object? Compute(Scope scope)
    {
        object? value = Value.Evaluate(scope);
        scope.Run.Position = Position;
        return Attributes.Attribute(value, Name);
    }
}

/// <summary><c>value[key]</c></summary>
internal sealed record ItemExpression(int Position, Expression Value, Expression Key) : Expression(Position)
{
    /// <inheritdoc/>
    protected override object? Compute(Scope scope)
    {
        object? value = Value.Evaluate(scope), key = Key.Evaluate(scope);
        scope.Run.Position = Position;
        return Attributes.Item(value, key);
    }
}

/// <summary><c>value[start:stop:step]</c></summary>
internal sealed record SliceExpression(int Position, Expression Value, Expression? Start, Expression? Stop, Expression? Step) : Expression(Position)
{
    /// <inheritdoc/>
    protected override object? Compute(Scope scope)
    {
        object? value = Value.Evaluate(scope), start = Start?.Evaluate(scope), stop = Stop?.Evaluate(scope), step = Step?.Evaluate(scope);
        scope.Run.Position = Position;
        return Slices.Take(scope.Run, value, start, stop, step);
    }
}
