using System.Text.Json;

namespace DualSparse.Models.Text.Templates;

/// <summary>A conversation to be rendered, as it comes over the wire.</summary>
public sealed record ChatRequest
{
    /// <summary>The messages: an array of objects with <c>role</c>, <c>content</c> and, where there are some, <c>tool_calls</c>, <c>tool_call_id</c>, <c>name</c>, <c>reasoning_content</c>.</summary>
    public required JsonElement Messages { get; init; }

    /// <summary>The tools that the model may call: an array; null: none.</summary>
    public JsonElement? Tools { get; init; }

    /// <summary>Ends with what opens the model's answer.</summary>
    public bool AddGenerationPrompt { get; init; } = true;

    /// <summary>Further variables for the template, such as <c>enable_thinking</c>.</summary>
    public IReadOnlyDictionary<string, JsonElement>? Variables { get; init; }

    /// <summary>Whether the model reads pictures, so that messages may have parts that stand for them.</summary>
    internal bool ReadsPictures { get; init; }

    /// <summary>The date and time that the template is told; null: now, by the machine's clock.</summary>
    public DateTime? Now { get; init; }
}
