using System.Text.Json.Serialization;

namespace DualSparse.Server.Protocol;

/// <summary>The body of a failure.</summary>
/// <param name="Error">What went wrong.</param>
internal sealed record ErrorBody(ErrorDetail Error);

/// <summary>What went wrong, with the four fields that clients read.</summary>
/// <param name="Message">One sentence.</param>
/// <param name="Type">The kind.</param>
/// <param name="Param">The field of the request; null: none alone.</param>
/// <param name="Code">For programs.</param>
internal sealed record ErrorDetail(string Message, string Type, string? Param, string? Code)
{
    /// <summary>Of a prompt that is too long, its tokens.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), JsonPropertyName("n_prompt_tokens")]
    public int? PromptTokens { get; init; }

    /// <summary>Of a prompt that is too long, what the context holds.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), JsonPropertyName("n_ctx")]
    public int? ContextTokens { get; init; }
}
