namespace DualSparse.Models.Text.Templates;

/// <summary><c>{% for target in values if condition recursive %} … {% else %} … {% endfor %}</c></summary>
internal sealed record ForStatement(int Position, Target Target, Expression Values, Expression? Condition, bool Recursive, List<Statement> Body, List<Statement> Else)
    : Statement(Position)
{
    /// <inheritdoc/>
    public override Flow Execute(Scope scope, MarkedTextBuilder output)
    {
        Run(scope, output, Values.Evaluate(scope), depth: 0);
        return Flow.Next;
    }

    private void Run(Scope scope, MarkedTextBuilder output, object? values, int depth)
    {
        var items = Operators.Iterate(scope.Run, values);
        if (Condition is not null)
            items = items.FindAll(item => Passes(scope, item));
        var loop = new Loop(items, depth);
        var attributes = new FunctionValue("loop", (run, arguments) => Recurse(scope, arguments, depth)) { Attribute = loop.Attribute, Text = "<LoopContext>" };
        for (int i = 0; i < items.Count; i++)
        {
            var inner = scope.Inner();
            Target.Assign(inner, items[i]);
            inner["loop"] = attributes;
            loop.Index = i;
            if (Execute(Body, inner, output) == Flow.Break)
                break;
        }

        if (items.Count == 0)
            Execute(Else, scope.Inner(), output);
    }

    private bool Passes(Scope scope, object? item)
    {
        var inner = scope.Inner();
        Target.Assign(inner, item);
        return Operators.IsTrue(Condition!.Evaluate(inner));
    }

    private object? Recurse(Scope scope, Arguments arguments, int depth)
    {
        if (!Recursive)
            throw new TemplateError("the loop must have the 'recursive' marker to be called recursively");
        object? values = arguments.Take("iterable");
        arguments.End();
        var run = scope.Run;
        run.Allowance.Enter();
        var output = run.Builder();
        Run(scope, output, values, depth + 1);
        run.Allowance.Leave();
        return output.Build();
    }
}
