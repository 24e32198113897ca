using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;

namespace DualSparse.Models.Text;

/// <summary>Reads <c>model.merges</c>: each a string of two tokens with a space between, or an array of two tokens.</summary>
internal sealed class MergeReader(string file, Vocabulary vocabulary, MergeTable merges)
{
    private byte[] text = new byte[256];

    /// <summary>Reads from a reader that stands at the array's start.</summary>
    /// <exception cref="ModelFormatException">A merge isn't two tokens of the vocabulary that give a third.</exception>
    // Called once for hundreds of thousands of merges, before tiered compilation would wake up.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Read(ref Utf8JsonReader reader)
    {
        merges.EnsureCapacity(vocabulary.Count);
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            int split;
            int length;
            if (reader.TokenType == JsonTokenType.StartArray)
            {
                reader.Read();
                split = Copy(ref reader, 0);
                reader.Read();
                length = Copy(ref reader, split);
                reader.Read();
                if (reader.TokenType != JsonTokenType.EndArray)
                {
                    throw Damaged("has more than two tokens");
                }
            }
            else
            {
                length = Copy(ref reader, 0);
                split = text.AsSpan(0, length).IndexOf((byte)' ');
                if (split < 0 || text.AsSpan(split + 1, length - split - 1).Contains((byte)' '))
                {
                    throw Damaged($"is '{JsonField.Shorten(Text(0, length))}', expected two tokens and a space between them");
                }

                length--;
                text.AsSpan(split + 1, length - split).CopyTo(text.AsSpan(split));
            }

            merges.Add(Id(0, split), Id(split, length), Id(0, length));
        }
    }

    // The string's UTF-8, put at a place of the buffer; where it ends.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Copy(ref Utf8JsonReader reader, int at)
    {
        if (reader.TokenType != JsonTokenType.String)
        {
            throw Damaged("is not a string or an array of two strings");
        }

        ReadOnlySpan<byte> value = reader.ValueSpan;
        if (text.Length - at < value.Length)
        {
            Array.Resize(ref text, 2 * (at + value.Length));
        }

        if (reader.ValueIsEscaped)
        {
            return at + reader.CopyString(text.AsSpan(at));
        }

        value.CopyTo(text.AsSpan(at));
        return at + value.Length;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Id(int start, int end) => vocabulary.Id(text.AsSpan(start, end - start)) is int id and >= 0
        ? id
        : throw Damaged($"refers to '{JsonField.Shorten(Text(start, end))}', which model.vocab lacks");

    private string Text(int start, int end) => Encoding.UTF8.GetString(text.AsSpan(start..end));

    private ModelFormatException Damaged(string what) => new($"{file}: 'model.merges[{merges.Count}]' {what}");
}
