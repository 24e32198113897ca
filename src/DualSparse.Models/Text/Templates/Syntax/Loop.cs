namespace DualSparse.Models.Text.Templates;

/// <summary>The <c>loop</c> of a for block: where it is, and what stands around.</summary>
internal sealed class Loop(List<object?> items, int depth)
{
    private List<object?>? lastChanged;

    /// <summary>The turn, from 0.</summary>
    public int Index { get; set; }

    /// <summary>An attribute of it.</summary>
    public object? Attribute(string name) => name switch
    {
        "index" => Index + 1L,
        "index0" => (long)Index,
        "revindex" => (long)items.Count - Index,
        "revindex0" => items.Count - Index - 1L,
        "first" => Index == 0,
        "last" => Index == items.Count - 1,
        "length" => (long)items.Count,
        "depth" => depth + 1L,
        "depth0" => (long)depth,
        "previtem" => Index > 0 ? items[Index - 1] : new UndefinedValue("there is no previous item"),
        "nextitem" => Index + 1 < items.Count ? items[Index + 1] : new UndefinedValue("there is no next item"),
        "cycle" => new FunctionValue(name, (_, arguments) => arguments.Rest() is { Count: > 0 } choices ? choices[Index % choices.Count] : throw new TemplateError("no items for cycling given")),
        "changed" => new FunctionValue(name, Changed),
        _ => new UndefinedValue($"'LoopContext object' has no attribute '{name}'"),
    };

    private object? Changed(TemplateRun run, Arguments arguments)
    {
        var values = arguments.Rest();
        bool changed = lastChanged is null || !Operators.AreEqual(run, new ListValue(values), new ListValue(lastChanged));
        lastChanged = values;
        return changed;
    }
}
