namespace DualSparse.Models.Text.Templates;

/// <summary>A chat template can't be read, or can't render this conversation; the caller's request is at fault, or the template.</summary>
public sealed class ChatTemplateException : Exception
{
    /// <summary>An error.</summary>
    /// <param name="message">One sentence; for an error of the template with its name, row and column.</param>
    /// <param name="inner">The cause, where there is one.</param>
    public ChatTemplateException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }

    /// <summary>True where the template itself refused the conversation, by <c>raise_exception</c>: the message is then its own words.</summary>
    public bool RaisedByTemplate { get; init; }
}
