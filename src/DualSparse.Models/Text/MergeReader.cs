using System.Text.Json;

namespace DualSparse.Models.Text;

/// <summary>Reads <c>model.merges</c>: each a string of two tokens with a space between, or an array of two tokens.</summary>
internal static class MergeReader
{
    /// <summary>Reads from a reader that stands at the array's start.</summary>
    /// <exception cref="ModelFormatException">A merge isn't two tokens of the vocabulary that give a third.</exception>
    public static void Read(ref Utf8JsonReader reader, string file, Vocabulary vocabulary, MergeTable merges)
    {
        char[] text = new char[256];
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            int split;
            int length;
            if (reader.TokenType == JsonTokenType.StartArray)
            {
                reader.Read();
                split = Copy(ref reader, file, merges.Count, ref text, 0);
                reader.Read();
                length = Copy(ref reader, file, merges.Count, ref text, split);
                reader.Read();
                if (reader.TokenType != JsonTokenType.EndArray)
                {
                    throw Damaged(file, merges.Count, "has more than two tokens");
                }
            }
            else
            {
                length = Copy(ref reader, file, merges.Count, ref text, 0);
                split = text.AsSpan(0, length).IndexOf(' ');
                if (split < 0 || text.AsSpan(split + 1, length - split - 1).Contains(' '))
                {
                    throw Damaged(file, merges.Count, $"is '{JsonFields.Shorten(new string(text, 0, length))}', expected two tokens and a space between them");
                }

                text.AsSpan(split + 1, length - split - 1).CopyTo(text.AsSpan(split));
                length--;
            }

            int left = Id(file, vocabulary, merges.Count, text.AsSpan(0, split));
            int right = Id(file, vocabulary, merges.Count, text.AsSpan(split, length - split));
            merges.Add(left, right, Id(file, vocabulary, merges.Count, text.AsSpan(0, length)));
        }
    }

    private static int Copy(ref Utf8JsonReader reader, string file, int index, ref char[] text, int at)
    {
        if (reader.TokenType != JsonTokenType.String)
        {
            throw Damaged(file, index, "is not a string or an array of two strings");
        }

        if (text.Length - at < reader.ValueSpan.Length)
        {
            Array.Resize(ref text, 2 * (at + reader.ValueSpan.Length));
        }

        return at + reader.CopyString(text.AsSpan(at));
    }

    private static int Id(string file, Vocabulary vocabulary, int index, ReadOnlySpan<char> token) =>
        vocabulary.Id(token) is int id and >= 0
            ? id
            : throw Damaged(file, index, $"refers to '{JsonFields.Shorten(token.ToString())}', which model.vocab lacks");

    private static ModelFormatException Damaged(string file, int index, string what) => new($"{file}: model.merges[{index}] {what}");
}
