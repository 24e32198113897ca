namespace DualSparse.Models.Pictures;

/// <summary>A picture is damaged, too large, or of a kind that isn't read.</summary>
/// <param name="message">One sentence: what was found, what was expected.</param>
/// <param name="inner">The cause, where there is one.</param>
internal sealed class PictureException(string message, Exception? inner = null) : ArgumentException(message, inner);
