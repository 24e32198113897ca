namespace DualSparse.Training.Data;

/// <summary>A piece of a document, whole or cut where a tokenizer doesn't see the cut.</summary>
/// <param name="Text">The text; may be empty at a document's end.</param>
/// <param name="EndsDocument">Whether the document ends with it.</param>
internal readonly record struct TextPiece(string Text, bool EndsDocument);

/// <summary>A text file as a run knows it again.</summary>
/// <param name="Path">Where it was, whole.</param>
/// <param name="Bytes">Its length.</param>
/// <param name="Sha256">Of its bytes, in hexadecimal digits.</param>
internal sealed record TextFileFacts(string Path, long Bytes, string Sha256);
