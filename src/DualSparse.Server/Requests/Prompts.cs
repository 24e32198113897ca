using DualSparse.Engine;

namespace DualSparse.Server;

/// <summary>The prompts of /v1/completions: a text, texts, ids, or lists of ids.</summary>
internal static class Prompts
{
    /// <summary>Reads them as ids.</summary>
    public static IReadOnlyList<Prompt> Read(BodyField prompt, MoeModel model, ServerOptions options)
    {
        if (prompt.IsText)
            return [Encode(prompt, model)];
        if (!prompt.IsList || prompt.Count == 0)
            throw prompt.Expected("a string, an array of strings, an array of ids, or an array of arrays of ids");
        // Of ids there may be many: they aren't turned into fields one by one.
        if (prompt.Value.Element[0].ValueKind == System.Text.Json.JsonValueKind.Number)
            return [new Prompt(null, Ids(prompt))];
        if (prompt.Count > options.MaxPrompts)
            throw Errors.Invalid($"the request: 'prompt' has {prompt.Count} prompts, expected at most {options.MaxPrompts}", "prompt");
        return [.. prompt.Items().Select(one => one.IsText ? Encode(one, model) : one.IsList ? new Prompt(null, Ids(one)) : throw one.Expected("a string or an array of ids"))];
    }

    /// <summary>An array of ids.</summary>
    public static int[] Ids(BodyField list)
    {
        if (!list.IsList)
            throw list.Expected("an array of ids");
        int[] ids = new int[list.Count];
        int i = 0;
        foreach (var item in list.Value.Element.EnumerateArray())
        {
            if (item.ValueKind != System.Text.Json.JsonValueKind.Number || !item.TryGetInt32(out ids[i]) || ids[i] < 0)
                throw Errors.Invalid($"the request: '{list.Path}[{i}]' is {Models.JsonField.Shorten(item.GetRawText())}, expected a token's id", list.Path);
            i++;
        }

        return ids.Length > 0 ? ids : throw list.Expected("at least one id");
    }

    // Of an empty text the model goes on from the token that opens one, if it has one.
    private static Prompt Encode(BodyField text, MoeModel model)
    {
        int[] ids = model.Tokenizer.Encode(text.AsText());
        return new Prompt(text.AsText(), ids.Length > 0 ? ids : [model.Config.Generation.BosId ?? throw text.Expected("a text with something in it: this model has no token that opens one")]);
    }
}

/// <summary>A text to be continued.</summary>
/// <param name="Text">The text; null: ids were given.</param>
/// <param name="Ids">Its tokens.</param>
internal sealed record Prompt(string? Text, int[] Ids);
