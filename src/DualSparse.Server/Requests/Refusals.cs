namespace DualSparse.Server;

/// <summary>Fields that would change the answer and can't be honoured: they are refused by name, never passed over.</summary>
internal static class Refusals
{
    /// <summary>Looks for them in any request that generates.</summary>
    public static void Check(BodyField body)
    {
        var format = body["response_format"];
        if (!format.IsNull && format["type"].AsText() is var kind and not "text")
        {
            throw kind is "json_object" or "json_schema"
                ? Errors.Unsupported("response_format", $"'response_format' is '{kind}', which can't be enforced yet and is never passed over: leave it out, and ask for JSON in words")
                : format["type"].Expected("'text'");
        }

        // Other servers' names for the same.
        foreach (string name in (string[])["guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs", "grammar", "json_schema"])
        {
            if (!body[name].IsNull)
                throw Errors.Unsupported(name, $"'{name}' asks for text in a given form, which can't be enforced yet: leave it out");
        }

        if (body["truncation"].Text() is "auto")
            throw Errors.Unsupported("truncation", "'truncation' is 'auto', and a prompt is never cut here: shorten it yourself");
        if (body["modalities"] is { IsList: true } ways && ways.Items().Any(way => way.AsText() != "text"))
            throw Errors.Unsupported("modalities", "'modalities' asks for more than text, which is all that this model writes");
        foreach (string name in (string[])["audio", "web_search_options"])
        {
            if (!body[name].IsNull)
                throw Errors.Unsupported(name, $"'{name}' asks for what isn't there: this server generates text alone");
        }
    }

    /// <summary>Those of a conversation.</summary>
    public static void CheckChat(BodyField body)
    {
        Check(body);
        foreach (string name in (string[])["functions", "function_call"])
        {
            if (body[name] is { IsNull: false, IsEmpty: false } old && !(old.IsText && old.AsText() is "none" or "auto"))
                throw Errors.Unsupported(name, $"'{name}' is the old form of tools: give 'tools'");
        }

        var choice = body["tool_choice"];
        if (choice.IsObject || choice.Text() is "required")
            throw Errors.Unsupported("tool_choice", $"'tool_choice' is {choice.Value.Found}: that a function is called can't be enforced yet, expected 'auto' or 'none'");
        if (choice is { IsNull: false } && choice.AsText() is not ("auto" or "none"))
            throw choice.Expected("'auto' or 'none'");
    }

    /// <summary>Those of a text to be continued.</summary>
    public static void CheckText(BodyField body)
    {
        Check(body);
        if (body["suffix"].Text() is { Length: > 0 })
            throw Errors.Unsupported("suffix", "'suffix' asks for text that fits before another, which this model isn't asked for: leave it out");
        if (body["best_of"].Int(1, int.MaxValue) is { } best && best != (body["n"].Int(1, int.MaxValue) ?? 1))
            throw Errors.Unsupported("best_of", $"'best_of' is {best}: as many answers are made as 'n' says, so leave it out");
    }
}
