using System.Text;
using System.Text.Json;

namespace DualSparse.Models;

/// <summary>
/// THE entrance of every JSON text. One rule for all: UTF-8 with or without its mark; no comments, no comma behind the last element, at
/// most 64 levels. <c>NaN</c> and <c>Infinity</c>, which Python writes though JSON has none, may stand where nobody reads them: whoever asks
/// for such a value is told that it is no number.
/// </summary>
internal static class JsonText
{
    // What stands for such a value while it is handed on: a text that no file has.
    private static readonly (byte[] Word, string Stand)[] s_noNumbers = [("NaN"u8.ToArray(), "__NaN__"), ("Infinity"u8.ToArray(), "__Infinity__"), ("-Infinity"u8.ToArray(), "__-Infinity__")];

    /// <summary>Reads a JSON text.</summary>
    public delegate T Reader<T>(ReadOnlySpan<byte> json);

    /// <summary>Checks the bytes and has them read.</summary>
    /// <param name="bytes">The file.</param>
    /// <param name="file">What messages call it.</param>
    /// <param name="read">Reads UTF-8 without a mark; a second time, from scratch, where the text has such values.</param>
    /// <exception cref="ModelFormatException">They are no JSON; the message says what they are instead, or where it ends to be JSON.</exception>
    public static T Read<T>(ReadOnlySpan<byte> bytes, string file, Reader<T> read)
    {
        if (ForeignFile.Find(bytes) is { } foreign)
            throw new ModelFormatException($"{file}: {foreign}");
        var json = Utf8Text.Check(bytes, file);
        try
        {
            try
            {
                return read(json);
            }
            catch (JsonException) when (WithoutNoNumbers(json) is { } rewritten)
            {
                json = rewritten;
                return read(json);
            }
        }
        catch (JsonException e)
        {
            throw Invalid(json, file, e);
        }
        catch (InvalidOperationException e)
        {
            // The JSON reader's word for an escape such as \ud800 that stands for no character.
            throw new ModelFormatException($"{file}: it holds a string that is not valid Unicode", e);
        }
    }

    /// <summary>Whether a value that was read is one of <c>NaN</c>, <c>Infinity</c> and <c>-Infinity</c>.</summary>
    public static bool IsNoNumber(JsonElement value) =>
        s_noNumbers.Any(n => Is(value, n.Stand));

    /// <summary>Whether a value is a string, and this one. One with an escape such as \ud800, which stands for no character, is none.</summary>
    public static bool Is(JsonElement value, string text)
    {
        try
        {
            return value.ValueKind == JsonValueKind.String && value.ValueEquals(text);
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>The same of the value that a reader stands at.</summary>
    public static bool IsNoNumber(ref Utf8JsonReader value)
    {
        foreach (var (_, stand) in s_noNumbers)
        {
            if (value.TokenType == JsonTokenType.String && value.ValueTextEquals(stand))
                return true;
        }

        return false;
    }

    /// <summary>A part of a text that was read, with those values as the file has them.</summary>
    public static string AsWritten(string json) =>
        s_noNumbers.Aggregate(json, (text, n) => text.Replace($"\"{n.Stand}\"", Encoding.UTF8.GetString(n.Word), StringComparison.Ordinal));

    // Null: there is none.
    private static byte[]? WithoutNoNumbers(ReadOnlySpan<byte> json)
    {
        var result = new MemoryStream(json.Length + 64);
        bool found = false, inString = false;
        for (int i = 0; i < json.Length; i++)
        {
            if (!inString && Word(json[i..]) is var (word, stand))
            {
                result.Write(Encoding.UTF8.GetBytes($"\"{stand}\""));
                i += word.Length - 1;
                found = true;
                continue;
            }

            result.WriteByte(json[i]);
            if (json[i] == '"')
                inString = !inString;
            else if (inString && json[i] == '\\' && i + 1 < json.Length)
                result.WriteByte(json[++i]);
        }

        return found ? result.ToArray() : null;
    }

    private static (byte[] Word, string Stand)? Word(ReadOnlySpan<byte> json)
    {
        if (json[0] is (byte)'N' or (byte)'I' or (byte)'-')
        {
            foreach (var known in s_noNumbers)
            {
                if (json.StartsWith(known.Word))
                    return known;
            }
        }

        return null;
    }

    private static ModelFormatException Invalid(ReadOnlySpan<byte> json, string file, JsonException cause)
    {
        long line = cause.LineNumber ?? 0, column = cause.BytePositionInLine ?? 0;
        return new($"{file}: it is not valid JSON (line {line + 1}, byte {column}){Reason(json, Offset(json, line) + column)}", cause);
    }

    private static long Offset(ReadOnlySpan<byte> json, long line)
    {
        int offset = 0;
        for (; line > 0 && json[offset..].IndexOf((byte)'\n') is var end and >= 0; line--)
            offset += end + 1;
        return offset;
    }

    private static string Reason(ReadOnlySpan<byte> json, long offset)
    {
        var before = json[..(int)Math.Min(offset, json.Length)].TrimEnd(" \t\r\n"u8);
        var rest = json[(int)Math.Min(offset, json.Length)..];
        if (json.Trim(" \t\r\n"u8).IsEmpty)
            return ": it is empty; fetch it again";
        if (rest.Trim(" \t\r\n"u8).IsEmpty)
            return ": it ends before its JSON does; is it cut off?";
        if (rest[0] is (byte)'/' or (byte)'#')
            return ": there is a comment, and JSON has none";
        if (rest[0] is (byte)'}' or (byte)']' && before.EndsWith(","u8))
            return ": there is a comma before the closing bracket, and JSON has none there";
        if (rest[0] is (byte)'\'')
            return ": there is a single quote, and JSON has only double ones";
        if (rest[0] is (byte)'{' or (byte)'[' && before.Length > 0 && before[^1] is (byte)'{' or (byte)'[' or (byte)':' or (byte)',')
            return ": it is nested deeper than 64 levels";
        return $": there is '{ForeignFile.Beginning(rest)}'{(before.IsEmpty ? "; if it isn't the file that it should be, fetch it again" : "")}";
    }
}
