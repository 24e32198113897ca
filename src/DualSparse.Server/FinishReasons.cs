using DualSparse.Engine.Serving;

namespace DualSparse.Server;

/// <summary>Why an answer ended, in the few words that clients know: of others some throw.</summary>
internal static class FinishReasons
{
    /// <summary>The word.</summary>
    public static string Of(FinishReason reason, bool calls = false) => reason switch
    {
        FinishReason.MaxTokens or FinishReason.ContextFull => "length",
        _ when calls => "tool_calls",
        _ => "stop",
    };
}
