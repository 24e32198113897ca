namespace DualSparse.Models;

/// <summary>A file of a model is damaged or holds something that isn't implemented; the message names file and field.</summary>
/// <param name="message">One sentence: file, field, what was found, what was expected.</param>
/// <param name="inner">The cause, where there is one.</param>
public sealed class ModelFormatException(string message, Exception? inner = null) : Exception(message, inner);
