namespace DualSparse.Models.Text.Templates;

/// <summary>Names and their values: those of a loop's turn, a macro or the whole template; names that aren't here are looked for further out.</summary>
internal sealed class Scope(TemplateRun run, Scope? outer)
{
    // A loop's turn has two or three names: they are compared one by one. A scope with more gets a table.
    private const int MostCompared = 8;

    private (string Name, object? Value)[] few = [];
    private int count;
    private Dictionary<string, object?>? many;

    /// <summary>The rendering.</summary>
    public TemplateRun Run => run;

    /// <summary>A name of this scope.</summary>
    public object? this[string name]
    {
        set
        {
            if (many is not null)
            {
                many[name] = value;
                return;
            }

            for (int i = 0; i < count; i++)
            {
                if (few[i].Name == name)
                {
                    few[i].Value = value;
                    return;
                }
            }

            if (count == MostCompared)
            {
                many = few.ToDictionary(entry => entry.Name, entry => entry.Value, StringComparer.Ordinal);
                many[name] = value;
                return;
            }

            if (count == few.Length)
                Array.Resize(ref few, count == 0 ? 2 : MostCompared);
            few[count++] = (name, value);
        }
    }

    /// <summary>The value of a name, here or further out; undefined where there is none.</summary>
    public object? Find(string name)
    {
        for (var scope = this; scope is not null; scope = scope.Outer)
        {
            if (scope.TryGet(name, out object? value))
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

    private bool TryGet(string name, out object? value)
    {
        if (many is not null)
            return many.TryGetValue(name, out value);
        for (int i = 0; i < count; i++)
        {
            if (few[i].Name == name)
            {
                value = few[i].Value;
                return true;
            }
        }

        value = null;
        return false;
    }
}
