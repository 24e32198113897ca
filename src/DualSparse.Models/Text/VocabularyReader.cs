using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;

namespace DualSparse.Models.Text;

/// <summary>Reads <c>model.vocab</c>: an object of tokens and their ids.</summary>
internal static class VocabularyReader
{
    /// <summary>Reads from a reader that stands at the object's start and reads from one piece of memory.</summary>
    /// <exception cref="ModelFormatException">A token or an id is given twice, or an id is out of range.</exception>
    // Called once for hundreds of thousands of tokens, before tiered compilation would wake up.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Read(ref Utf8JsonReader reader, string file, Vocabulary vocabulary)
    {
        byte[] unescaped = [];
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            ReadOnlySpan<byte> token = reader.ValueSpan;
            if (reader.ValueIsEscaped)
            {
                if (unescaped.Length < token.Length)
                {
                    unescaped = new byte[2 * token.Length];
                }

                token = unescaped.AsSpan(0, reader.CopyString(unescaped));
            }

            reader.Read();
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt32(out int id) || id < 0 || id >= Vocabulary.MaxIds)
            {
                throw new ModelFormatException(
                    $"{file}: model.vocab: '{Show(token)}' has {Value(ref reader)}, expected an id of 0 to {Vocabulary.MaxIds - 1}");
            }

            if (!vocabulary.TryAdd(token, id))
            {
                throw new ModelFormatException(vocabulary.Token(id) is string other && other != Encoding.UTF8.GetString(token)
                    ? $"{file}: model.vocab: '{Show(token)}' and '{JsonField.Shorten(other)}' both have the id {id}"
                    : $"{file}: model.vocab: '{Show(token)}' is given twice");
            }
        }
    }

    private static string Show(ReadOnlySpan<byte> token) => JsonField.Shorten(Encoding.UTF8.GetString(token));

    private static string Value(ref Utf8JsonReader reader)
    {
        string written = JsonText.AsWritten($"\"{Encoding.UTF8.GetString(reader.ValueSpan)}\"").Trim('"');
        return reader.TokenType == JsonTokenType.Number || JsonText.IsNoNumber(ref reader) ? JsonField.Shorten(written) : TokenizerJson.Name(reader.TokenType);
    }
}
