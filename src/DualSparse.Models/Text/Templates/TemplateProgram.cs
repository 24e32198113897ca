namespace DualSparse.Models.Text.Templates;

/// <summary>One template, parsed.</summary>
internal sealed class TemplateProgram
{
    private readonly List<Statement> body;

    /// <summary>Parses a template.</summary>
    /// <exception cref="ChatTemplateException">It is none; the message has name, row and column.</exception>
    public TemplateProgram(string source, string name)
    {
        (Source, Name) = (TemplateLexer.Normalize(source), name);
        try
        {
            body = TemplateParser.Parse(Source);
        }
        catch (TemplateError e)
        {
            throw Located(e, Math.Max(e.Position, 0));
        }
    }

    /// <summary>The template's text.</summary>
    public string Source { get; }

    /// <summary>What errors call it.</summary>
    public string Name { get; }

    /// <summary>Renders it with these variables.</summary>
    /// <exception cref="ChatTemplateException">It can't; the message has name, row and column, or is the template's own.</exception>
    public MarkedText Render(TemplateRun run, IEnumerable<KeyValuePair<string, object?>> variables)
    {
        var scope = new Scope(run, null);
        foreach (var (name, value) in variables)
            scope[name] = value;
        var output = run.Builder();
        try
        {
            Statement.Execute(body, scope.Inner(), output);
            return output.Build();
        }
        catch (TemplateError e)
        {
            throw e.OwnWords ? new ChatTemplateException(e.Message, e) { RaisedByTemplate = true } : Located(e, e.Position >= 0 ? e.Position : run.Position);
        }
    }

    private ChatTemplateException Located(TemplateError error, int position)
    {
        var before = Source.AsSpan(0, Math.Min(position, Source.Length));
        return new($"{Name}:{before.Count('\n') + 1}:{before.Length - before.LastIndexOf('\n')}: {error.Message}", error);
    }
}
