namespace DualSparse.Models.Text.Templates;

/// <summary>Names and their values: those of a loop's turn, a macro or the whole template; names that aren't here are looked for further out.</summary>
internal sealed class Scope(TemplateRun run, Scope? outer)
{
    private readonly Dictionary<string, object?> names = new(StringComparer.Ordinal);

    /// <summary>The rendering.</summary>
    public TemplateRun Run => run;

    /// <summary>A name of this scope.</summary>
    public object? this[string name]
    {
        set => names[name] = value;
    }

    /// <summary>The value of a name, here or further out; undefined where there is none.</summary>
    public object? Find(string name)
    {
        for (var scope = this; scope is not null; scope = scope.Outer)
        {
            if (scope.names.TryGetValue(name, out object? value))
                return value;
        }

        return (object?)Globals.Find(name) ?? new UndefinedValue($"'{name}' is undefined");
    }

    /// <summary>A scope inside this one.</summary>
    public Scope Inner()
    {
        run.Allowance.Step();
        return new(run, this);
    }

    private Scope? Outer => outer;
}
