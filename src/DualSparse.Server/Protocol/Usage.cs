using System.Text.Json.Serialization;

namespace DualSparse.Server.Protocol;

/// <summary>What a request took.</summary>
/// <param name="PromptTokens">Tokens of the prompts.</param>
/// <param name="CompletionTokens">Tokens generated.</param>
/// <param name="TotalTokens">Both.</param>
/// <param name="PromptTokensDetails">Of the prompts' tokens.</param>
/// <param name="Dualsparse">The dial.</param>
internal sealed record Usage(int PromptTokens, int CompletionTokens, int TotalTokens, PromptTokensDetails PromptTokensDetails, DialUsage Dualsparse);

/// <summary>Of the prompts' tokens.</summary>
/// <param name="CachedTokens">Those whose keys and values were there already.</param>
internal sealed record PromptTokensDetails(int CachedTokens);

/// <summary>What was dropped, and what that is expected to cost.</summary>
/// <param name="Drop">The share of the routed experts' work that was skipped.</param>
/// <param name="ExpectedKl">KL to the dense run, nats a token, by the model's dualsparse.json; null: not known.</param>
internal sealed record DialUsage(double Drop, double? ExpectedKl)
{
    /// <summary>The share that was asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? RequestedDrop { get; init; }

    /// <summary>The highest KL that was asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? RequestedMaxKl { get; init; }

    /// <summary>The 95 % interval of <see cref="ExpectedKl"/>.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double[]? ExpectedKlInterval { get; init; }

    /// <summary>The expected share of predictions whose most probable token changes.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? ExpectedFlips { get; init; }
}
