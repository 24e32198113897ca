using System.Text.Json.Serialization;

namespace DualSparse.Server.Protocol;

/// <summary>The answer of /v1/completions, and a chunk of its stream.</summary>
internal sealed record TextCompletion(string Id, string Object, long Created, string Model, string SystemFingerprint, IReadOnlyList<TextChoice> Choices)
{
    /// <summary>What it took; on a stream's last chunk, if it was asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Usage? Usage { get; init; }
}

/// <summary>One continuation, or what is new of it.</summary>
internal sealed record TextChoice(string Text, int Index, TextLogProbs? Logprobs, string? FinishReason);

/// <summary>Tokens side by side with what is known of each.</summary>
/// <param name="Tokens">Their texts.</param>
/// <param name="TokenLogprobs">Their log-probabilities; null for a prompt's first, which nothing predicts.</param>
/// <param name="TopLogprobs">By text, the most probable tokens in their places and they themselves; null for a prompt's first.</param>
/// <param name="TextOffset">Where their texts begin, in characters of prompt and continuation.</param>
internal sealed record TextLogProbs(
    IReadOnlyList<string> Tokens, IReadOnlyList<float?> TokenLogprobs, IReadOnlyList<IReadOnlyDictionary<string, float>?> TopLogprobs, IReadOnlyList<int> TextOffset);
