namespace DualSparse.Server;

/// <summary>What one request may ask for, beside what <see cref="ServerOptions"/> says.</summary>
internal static class Limits
{
    /// <summary>Answers to one prompt: OpenAI's limit, and no more than run at a time.</summary>
    public static int Choices(ServerOptions options) => Math.Min(128, options.Scheduler.MaxRunning);

    /// <summary>Stop texts: OpenAI takes four, and every character of an answer is looked at for each.</summary>
    public const int Stops = 64;

    /// <summary>The characters of a stop text: so much of an answer may be held back.</summary>
    public const int StopLength = 1024;

    /// <summary>The most probable tokens to be told with each: OpenAI's limit.</summary>
    public const int TopLogProbs = 20;

    /// <summary>Tokens whose logits are raised or lowered: OpenAI's limit, and then some.</summary>
    public const int LogitBiases = 1024;

    /// <summary>Pictures of a conversation: each may be decoded to some hundred megabytes, one after another.</summary>
    public const int Pictures = 64;

    /// <summary>Functions described to the model.</summary>
    public const int Tools = 1024;
}
