namespace DualSparse.Engine.Serving.Batching;

/// <summary>A prompt is longer than a context can be.</summary>
/// <param name="promptTokens">The prompt's tokens.</param>
/// <param name="contextTokens">The most that a context holds.</param>
public sealed class ContextLengthException(int promptTokens, int contextTokens)
    : ArgumentException($"the prompt has {promptTokens} tokens, expected fewer than {contextTokens}, the longest context: one of its tokens at least is the answer's")
{
    /// <summary>The prompt's tokens.</summary>
    public int PromptTokens => promptTokens;

    /// <summary>The most that a context holds.</summary>
    public int ContextTokens => contextTokens;
}

/// <summary>The queue has no room for another request.</summary>
/// <param name="message">Which limit, and what was found.</param>
/// <param name="retryAfter">About when it will have.</param>
public sealed class QueueFullException(string message, TimeSpan retryAfter) : Exception(message)
{
    /// <summary>About when there will be room.</summary>
    public TimeSpan RetryAfter => retryAfter;
}

/// <summary>No more requests are taken, or what ran was ended: the server is about to stop.</summary>
/// <param name="message">Which.</param>
public sealed class DrainingException(string message) : Exception(message);
