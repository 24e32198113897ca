using DualSparse.Server.Protocol;

namespace DualSparse.Server;

/// <summary>From what the model writes to what a message says: text, thoughts, and calls of functions.</summary>
internal sealed class AnswerText
{
    /// <summary>Takes more of the model's text.</summary>
    /// <returns>What is new of the message; empty: nothing is certain yet.</returns>
    public IReadOnlyList<ChatDelta> Push(string text) => text.Length == 0 ? [] : [new ChatDelta { Content = text }];

    /// <summary>Ends the text.</summary>
    /// <returns>What is left of the message.</returns>
    public IReadOnlyList<ChatDelta> Finish() => [];

    /// <summary>Whether functions were called.</summary>
    public bool Calls => false;
}
