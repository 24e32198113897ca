namespace DualSparse.Models.Text.Templates;

/// <summary>What a template does that can't be done. Where it stands is added at the door, as a <see cref="ChatTemplateException"/>.</summary>
/// <param name="message">One sentence, such as Python's.</param>
/// <param name="ownWords">The template raised it itself: the message is its own.</param>
internal sealed class TemplateError(string message, bool ownWords = false) : Exception(message)
{
    /// <summary>Whether the template raised it itself.</summary>
    public bool OwnWords { get; } = ownWords;

    /// <summary>Where it happened, where the parser knows better than the run; negative: as the run says.</summary>
    public int Position { get; init; } = -1;
}
