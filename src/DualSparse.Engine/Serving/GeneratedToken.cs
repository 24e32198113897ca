namespace DualSparse.Engine.Serving;

/// <summary>Why a generation ended.</summary>
public enum FinishReason
{
    /// <summary>The model ended its text: it sampled one of <see cref="GenerationOptions.EosIds"/>.</summary>
    EndOfText,

    /// <summary>The model wrote one of <see cref="GenerationOptions.StopStrings"/>; <see cref="GenerationSummary.StopString"/> says which.</summary>
    StopString,

    /// <summary>As many tokens were generated as <see cref="GenerationOptions.MaxTokens"/> asked for.</summary>
    MaxTokens,

    /// <summary>The session's context has no room for another token.</summary>
    ContextFull,
}

/// <summary>A token and the natural logarithm of its probability.</summary>
/// <param name="Id">The token.</param>
/// <param name="LogProb">Under the model's own distribution, before penalties, temperature and truncation.</param>
public readonly record struct TokenLogProb(int Id, float LogProb);

/// <summary>One token that the model wrote.</summary>
/// <param name="Id">The token.</param>
/// <param name="Text">
/// The text that became certain with it: empty while a character is unfinished or a stop string may be on its way, and then more than
/// the token's own. The texts of all tokens together are the text generated.
/// </param>
/// <param name="LogProb">Its log-probability, if <see cref="GenerationOptions.LogProbs"/> asked for it.</param>
/// <param name="Alternatives">The most probable tokens in its place, best first; as many as were asked for.</param>
/// <param name="Finish">Why the generation ends with this token; null before the last.</param>
public sealed record GeneratedToken(int Id, string Text, float? LogProb, IReadOnlyList<TokenLogProb> Alternatives, FinishReason? Finish);

/// <summary>What a finished generation was.</summary>
/// <param name="Finish">Why it ended.</param>
/// <param name="PromptTokens">Tokens of the context that the cache didn't have yet: they went through the model before the first new one.</param>
/// <param name="GeneratedTokens">Tokens sampled, one that ended the text included.</param>
/// <param name="ContextTokens">Tokens in the session's context now.</param>
/// <param name="PromptSeconds">Time until the first token was sampled; the consumer's own time between tokens isn't counted.</param>
/// <param name="GenerationSeconds">Time for the tokens after the first.</param>
/// <param name="Seed">Generates the same again, with the same options, context and kernels.</param>
/// <param name="StopString">The stop string that ended it; null where something else did.</param>
public sealed record GenerationSummary(
    FinishReason Finish, int PromptTokens, int GeneratedTokens, int ContextTokens, double PromptSeconds, double GenerationSeconds, ulong Seed, string? StopString = null)
{
    /// <summary>Prompt tokens a second; 0 if none went through the model.</summary>
    public double PromptTokensPerSecond => PromptSeconds == 0 ? 0 : PromptTokens / PromptSeconds;

    /// <summary>Tokens a second after the first, which the prompt's pass has paid for; 0 if there were none.</summary>
    public double GenerationTokensPerSecond => GeneratedTokens < 2 ? 0 : (GeneratedTokens - 1) / GenerationSeconds;
}
