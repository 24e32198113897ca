namespace DualSparse.Models.Text.Templates;

/// <summary>How it goes on after a statement.</summary>
internal enum Flow
{
    /// <summary>With the next.</summary>
    Next,

    /// <summary>With the loop's next turn.</summary>
    Continue,

    /// <summary>After the loop.</summary>
    Break,
}

/// <summary>A part of a template that writes text or sets names.</summary>
internal abstract record Statement(int Position)
{
    /// <summary>Carries it out.</summary>
    public abstract Flow Execute(Scope scope, MarkedTextBuilder output);

    /// <summary>Carries out several.</summary>
    public static Flow Execute(List<Statement> body, Scope scope, MarkedTextBuilder output)
    {
        foreach (var statement in body)
        {
            scope.Run.Position = statement.Position;
            scope.Run.Allowance.Step();
            if (statement.Execute(scope, output) is not Flow.Next and var flow)
                return flow;
        }

        return Flow.Next;
    }

    /// <summary>What several write, as a string.</summary>
    public static MarkedText Capture(List<Statement> body, Scope scope)
    {
        var output = scope.Run.Builder();
        Execute(body, scope, output);
        return output.Build();
    }
}

/// <summary>Text as it stands.</summary>
internal sealed record TextStatement(int Position, MarkedText Text) : Statement(Position)
{
    /// <inheritdoc/>
    public override Flow Execute(Scope scope, MarkedTextBuilder output)
    {
        output.Append(Text);
        return Flow.Next;
    }
}

/// <summary><c>{{ value }}</c></summary>
internal sealed record OutputStatement(int Position, Expression Value) : Statement(Position)
{
    /// <inheritdoc/>
    public override Flow Execute(Scope scope, MarkedTextBuilder output)
    {
        ValueText.Print(scope.Run, output, Value.Evaluate(scope));
        return Flow.Next;
    }
}

/// <summary><c>{% if %}</c>, with <c>elif</c> as further branches and <c>else</c> as one without a condition.</summary>
internal sealed record IfStatement(int Position, List<(Expression? Condition, List<Statement> Body)> Branches) : Statement(Position)
{
    /// <inheritdoc/>
    public override Flow Execute(Scope scope, MarkedTextBuilder output)
    {
        foreach (var (condition, body) in Branches)
        {
            if (condition is null || Operators.IsTrue(condition.Evaluate(scope)))
                return Execute(body, scope, output);
        }

        return Flow.Next;
    }
}

/// <summary><c>{% break %}</c> or <c>{% continue %}</c>.</summary>
internal sealed record FlowStatement(int Position, Flow Flow) : Statement(Position)
{
    /// <inheritdoc/>
    public override Flow Execute(Scope scope, MarkedTextBuilder output) => Flow;
}

/// <summary><c>{% with %}</c>, and blocks that only have a scope: <c>generation</c>, <c>block</c>.</summary>
internal sealed record ScopeStatement(int Position, List<(Target Target, Expression Value)> Values, List<Statement> Body) : Statement(Position)
{
    /// <inheritdoc/>
    public override Flow Execute(Scope scope, MarkedTextBuilder output)
    {
        var inner = scope.Inner();
        foreach (var (target, value) in Values)
            target.Assign(inner, value.Evaluate(scope));
        return Execute(Body, inner, output);
    }
}

/// <summary><c>{% set a = value %}</c></summary>
internal sealed record SetStatement(int Position, Target Target, Expression Value) : Statement(Position)
{
    /// <inheritdoc/>
    public override Flow Execute(Scope scope, MarkedTextBuilder output)
    {
        Target.Assign(scope, Value.Evaluate(scope));
        return Flow.Next;
    }
}

/// <summary><c>{% set a %}text{% endset %}</c>, with filters or without.</summary>
internal sealed record SetBlockStatement(int Position, Target Target, FilterExpression? Filter, List<Statement> Body) : Statement(Position)
{
    /// <inheritdoc/>
    public override Flow Execute(Scope scope, MarkedTextBuilder output)
    {
        var inner = scope.Inner();
        var text = Capture(Body, inner);
        Target.Assign(scope, Filter is null ? text : Filter.Apply(inner, text));
        return Flow.Next;
    }
}

/// <summary><c>{% filter name %}text{% endfilter %}</c></summary>
internal sealed record FilterStatement(int Position, FilterExpression Filter, List<Statement> Body) : Statement(Position)
{
    /// <inheritdoc/>
    public override Flow Execute(Scope scope, MarkedTextBuilder output)
    {
        var inner = scope.Inner();
        ValueText.Print(scope.Run, output, Filter.Apply(inner, Capture(Body, inner)));
        return Flow.Next;
    }
}
