namespace DualSparse.Models.Text.Templates;

/// <summary>A macro's or a call block's parameters and body.</summary>
/// <param name="Name">What errors call it.</param>
/// <param name="Parameters">Names, and values where an argument is missing.</param>
/// <param name="Body">What it writes.</param>
/// <param name="Uses">Which of <c>caller</c>, <c>kwargs</c> and <c>varargs</c> the body names: only such a macro takes more arguments than it has parameters.</param>
internal sealed record Macro(string Name, List<(string Name, Expression? Otherwise)> Parameters, List<Statement> Body, IReadOnlySet<string> Uses)
{
    /// <summary>The macro as a value, defined in <paramref name="scope"/>.</summary>
    public FunctionValue Define(Scope scope) => new(Name, (run, arguments) => Call(scope, run, arguments)) { Attribute = Attribute, Text = $"<Macro '{Name}'>" };

    private object? Attribute(string name) => name switch
    {
        "name" => new MarkedText(Name),
        "arguments" => new ListValue([.. Parameters.Select(p => new MarkedText(p.Name))], IsTuple: true),
        "caller" => Uses.Contains("caller"),
        "catch_kwargs" => Uses.Contains("kwargs"),
        "catch_varargs" => Uses.Contains("varargs"),
        _ => new UndefinedValue($"'Macro object' has no attribute '{name}'"),
    };

    private object? Call(Scope scope, TemplateRun run, Arguments arguments)
    {
        run.Allowance.Enter();
        var inner = scope.Inner();
        List<(string Name, Expression? Otherwise)> missing = [];
        foreach (var (name, otherwise) in Parameters)
        {
            if (arguments.TryTake(name, out object? value))
                inner[name] = value;
            else
                missing.Add((name, otherwise));
        }

        TakeMore(run, inner, arguments);
        foreach (var (name, _) in missing)
            inner[name] = new UndefinedValue($"parameter '{name}' was not provided");
        foreach (var (name, otherwise) in missing)
        {
            if (otherwise is not null)
                inner[name] = otherwise.Evaluate(inner);
        }

        var result = Statement.Capture(Body, inner);
        run.Allowance.Leave();
        return result;
    }

    private void TakeMore(TemplateRun run, Scope inner, Arguments arguments)
    {
        if (Uses.Contains("caller") && Parameters.All(p => p.Name != "caller"))
            inner["caller"] = arguments.Named.Remove("caller", out object? caller) ? caller : new UndefinedValue("no caller defined");
        if (Uses.Contains("kwargs"))
        {
            var dict = new DictValue();
            foreach (var (name, value) in arguments.Named)
                dict[name] = value;
            arguments.Named.Clear();
            inner["kwargs"] = dict;
        }

        if (Uses.Contains("varargs"))
            inner["varargs"] = run.List(arguments.Rest(), isTuple: true);
        if (arguments.Named.Count > 0)
            throw new TemplateError($"macro '{Name}' takes no keyword argument '{arguments.Named.Keys.First()}'");
        if (arguments.Rest().Count > 0)
            throw new TemplateError($"macro '{Name}' takes not more than {Parameters.Count} argument(s)");
    }
}

/// <summary><c>{% macro name(…) %} … {% endmacro %}</c></summary>
internal sealed record MacroStatement(int Position, Macro Macro) : Statement(Position)
{
    /// <inheritdoc/>
    public override Flow Execute(Scope scope, MarkedTextBuilder output)
    {
        scope[Macro.Name] = Macro.Define(scope);
        return Flow.Next;
    }
}

/// <summary><c>{% call(…) macro(…) %} … {% endcall %}</c>: the body is the macro's <c>caller</c>.</summary>
internal sealed record CallStatement(int Position, CallExpression Call, Macro Caller) : Statement(Position)
{
    /// <inheritdoc/>
    public override Flow Execute(Scope scope, MarkedTextBuilder output)
    {
        ValueText.Print(scope.Run, output, Call.Call(scope, Caller.Define(scope)));
        return Flow.Next;
    }
}
