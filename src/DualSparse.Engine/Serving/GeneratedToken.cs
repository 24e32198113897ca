namespace DualSparse.Engine.Serving;

/// <summary>Why a generation ended.</summary>
public enum FinishReason
{
    /// <summary>The model ended its text: it sampled one of <see cref="GenerationOptions.EosIds"/>.</summary>
    EndOfText,

    /// <summary>One of <see cref="GenerationOptions.StopStrings"/> was written.</summary>
    StopString,

    /// <summary><see cref="GenerationOptions.MaxTokens"/> are there, or the context is full.</summary>
    Length,
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
/// <param name="PromptTokens">Tokens that went through the model before the first new one; those already cached don't count.</param>
/// <param name="GeneratedTokens">Tokens sampled, one that ended the text included.</param>
/// <param name="ContextTokens">Tokens in the session's context now.</param>
/// <param name="PromptSeconds">Time until the first token was sampled; the consumer's own time between tokens isn't counted.</param>
/// <param name="GenerationSeconds">Time for the tokens after the first.</param>
/// <param name="Seed">Generates the same again, with the same options, context and kernels.</param>
public sealed record GenerationSummary(
    FinishReason Finish, int PromptTokens, int GeneratedTokens, int ContextTokens, double PromptSeconds, double GenerationSeconds, ulong Seed)
{
    /// <summary>Prompt tokens a second; 0 if there were none.</summary>
    public double PromptTokensPerSecond => PromptTokens == 0 ? 0 : PromptTokens / PromptSeconds;

    /// <summary>Tokens a second after the first, which the prompt's pass has paid for; 0 if there were none.</summary>
    public double GenerationTokensPerSecond => GeneratedTokens < 2 ? 0 : (GeneratedTokens - 1) / GenerationSeconds;
}
