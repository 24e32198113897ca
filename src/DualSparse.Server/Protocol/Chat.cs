using System.Text.Json.Serialization;

namespace DualSparse.Server.Protocol;

/// <summary>The answer of /v1/chat/completions.</summary>
internal sealed record ChatCompletion(string Id, string Object, long Created, string Model, string SystemFingerprint, IReadOnlyList<ChatChoice> Choices, Usage Usage);

/// <summary>One of the answers that were asked for.</summary>
internal sealed record ChatChoice(int Index, ChatMessage Message, ChatLogProbs? Logprobs, string FinishReason);

/// <summary>What the model says.</summary>
internal sealed record ChatMessage(string Role, string? Content, string? Refusal)
{
    /// <summary>What it thought before, where its template tells the two apart.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ReasoningContent { get; init; }

    /// <summary>The functions that it calls.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ToolCall>? ToolCalls { get; init; }
}

/// <summary>A call of a function.</summary>
internal sealed record ToolCall(string Id, string Type, FunctionCall Function);

/// <summary>The function and its arguments, which are JSON in a string.</summary>
internal sealed record FunctionCall(string Name, string Arguments);

/// <summary>A piece of a streamed answer.</summary>
internal sealed record ChatChunk(string Id, string Object, long Created, string Model, string SystemFingerprint, IReadOnlyList<ChunkChoice> Choices)
{
    /// <summary>On the last chunk of a stream that asked for it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Usage? Usage { get; init; }
}

/// <summary>What is new of one of the answers.</summary>
internal sealed record ChunkChoice(int Index, ChatDelta Delta, string? FinishReason)
{
    /// <summary>Of the tokens that came with it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ChatLogProbs? Logprobs { get; init; }
}

/// <summary>What is new of a message; a field that is null is not there.</summary>
internal sealed record ChatDelta
{
    /// <summary>On the first chunk alone.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Role { get; init; }

    /// <summary>More text.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Content { get; init; }

    /// <summary>More of its thoughts.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ReasoningContent { get; init; }

    /// <summary>The beginning, or more, of calls.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ToolCallDelta>? ToolCalls { get; init; }
}

/// <summary>A part of a call: always with its index; id, type and name with the first.</summary>
internal sealed record ToolCallDelta(int Index, FunctionDelta Function)
{
    /// <summary>Names the call in the tool's answer.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Id { get; init; }

    /// <summary><c>function</c>.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Type { get; init; }
}

/// <summary>A part of the function that is called.</summary>
internal sealed record FunctionDelta
{
    /// <summary>Its name.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Name { get; init; }

    /// <summary>More of its arguments.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Arguments { get; init; }
}

/// <summary>The tokens of an answer and their log-probabilities.</summary>
internal sealed record ChatLogProbs(IReadOnlyList<ChatToken> Content, IReadOnlyList<ChatToken>? Refusal);

/// <summary>A token, its log-probability and those of the most probable ones in its place.</summary>
internal sealed record ChatToken(string Token, float Logprob, IReadOnlyList<int> Bytes, IReadOnlyList<ChatCandidate> TopLogprobs);

/// <summary>A token that might have stood there.</summary>
internal sealed record ChatCandidate(string Token, float Logprob, IReadOnlyList<int> Bytes);
