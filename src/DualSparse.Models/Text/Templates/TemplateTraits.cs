using System.Text.Json;

namespace DualSparse.Models.Text.Templates;

/// <summary>What stands in an assistant's message that has tool calls and no text.</summary>
internal enum EmptyContent
{
    /// <summary><c>content</c> is none.</summary>
    None,

    /// <summary>There is no <c>content</c>.</summary>
    Missing,

    /// <summary><c>content</c> is the empty string.</summary>
    Text,
}

/// <summary>What a template expects where templates differ. It is found by trying: a small conversation whose words must come out again.</summary>
internal sealed class TemplateTraits
{
    private const string Word = "qx7needle", Name = "qx7name", Key = "qx7key", Value = "qx7value";

    private readonly TemplateProgram? program;

    /// <summary>Tries a template.</summary>
    public TemplateTraits(TemplateProgram program)
    {
        this.program = program;
        WantsParts = !Shows(Conversation(), Word) && Shows(Conversation(), Word, wantsParts: true);
        foreach (bool asText in (bool[])[false, true])
        {
            foreach (var empty in (EmptyContent[])[EmptyContent.None, EmptyContent.Missing, EmptyContent.Text])
            {
                (ArgumentsAsText, EmptyContent) = (asText, empty);
                if (ShowsCall())
                    return;
            }
        }

        // It shows no calls at all.
        (ArgumentsAsText, EmptyContent) = (false, EmptyContent.None);
    }

    private TemplateTraits()
    {
    }

    /// <summary>Content is a list of parts, also where it is one text.</summary>
    public bool WantsParts { get; private init; }

    /// <summary>What stands for no content.</summary>
    public EmptyContent EmptyContent { get; private set; }

    /// <summary>Arguments of tool calls are JSON in a string rather than an object.</summary>
    public bool ArgumentsAsText { get; private set; }

    private static string Conversation() => $$"""[{"role":"user","content":"{{Word}}"}]""";

    private bool Shows(string messages, string word, bool wantsParts = false) =>
        Render(messages, new TemplateTraits { WantsParts = wantsParts }) is { } text && text.Contains(word, StringComparison.Ordinal);

    private bool ShowsCall()
    {
        string messages = $$$"""
            [{"role":"user","content":"a"},
            {"role":"assistant","content":null,"tool_calls":[{"id":"call00000","type":"function","function":{"name":"{{{Name}}}","arguments": { "{{{Key}}}":"{{{Value}}}" } } }]},
            {"role":"tool","tool_call_id":"call00000","name":"{{{Name}}}","content":"b"}]
            """;
        return Render(messages, this) is { } text
            && text.Contains(Name, StringComparison.Ordinal) && text.Contains(Key, StringComparison.Ordinal) && text.Contains(Value, StringComparison.Ordinal)
            // Python's notation of a dictionary or of nothing, or a string of JSON as JSON again.
            && !text.Contains($"'{Key}'", StringComparison.Ordinal) && !text.Contains($"\\\"{Key}", StringComparison.Ordinal) && !text.Contains("None", StringComparison.Ordinal);
    }

    private string? Render(string messages, TemplateTraits traits)
    {
        try
        {
            var prepared = new MessagePreparation(program!.Source, traits).Prepare(JsonElement.Parse(messages));
            return program.Render(new TemplateRun(new Allowance(messages.Length), new DateTime(2024, 1, 1)), new Dictionary<string, object?>
            {
                ["messages"] = prepared,
                ["tools"] = null,
                ["documents"] = null,
                ["bos_token"] = MarkedText.Empty,
                ["eos_token"] = MarkedText.Empty,
                ["add_generation_prompt"] = false,
            }).Value;
        }
        catch (ChatTemplateException)
        {
            return null;
        }
    }
}
