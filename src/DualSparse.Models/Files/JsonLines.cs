namespace DualSparse.Models;

/// <summary>Reads files of one JSON object a line. A line is parsed when it is asked for.</summary>
/// <param name="File">The file.</param>
/// <param name="Number">The line, from 1.</param>
/// <param name="Json">What stands there.</param>
internal readonly record struct JsonLine(string File, int Number, ReadOnlyMemory<byte> Json)
{
    // Task files have some ten megabytes.
    private const long MaxBytes = 1 << 30;

    /// <summary>The lines of a file, but for blank ones.</summary>
    /// <exception cref="ModelFormatException">It is missing, can't be read, is too long, or is no UTF-8.</exception>
    public static IReadOnlyList<JsonLine> Read(string path) => Split(ModelFile.Read(path, MaxBytes), path);

    /// <summary>The lines of a file's bytes, but for blank ones.</summary>
    /// <exception cref="ModelFormatException">They are no UTF-8.</exception>
    public static IReadOnlyList<JsonLine> Split(byte[] bytes, string file)
    {
        if (ForeignFile.Find(bytes) is { } foreign)
            throw new ModelFormatException($"{file}: {foreign}");
        var rest = bytes.AsMemory(bytes.Length - Utf8Text.Check(bytes, file).Length);
        List<JsonLine> lines = [];
        for (int number = 1; rest.Length > 0; number++)
        {
            int end = rest.Span.IndexOf((byte)'\n');
            var line = end < 0 ? rest : rest[..end];
            if (!line.Span.Trim(" \t\r"u8).IsEmpty)
                lines.Add(new JsonLine(file, number, line));
            rest = rest[(end < 0 ? rest.Length : end + 1)..];
        }

        return lines;
    }

    /// <summary>The line's object.</summary>
    /// <exception cref="ModelFormatException">It is no JSON object.</exception>
    public JsonField Parse()
    {
        var field = JsonField.Parse(Json.Span, $"{File}: line {Number}");
        return field.Element.ValueKind == System.Text.Json.JsonValueKind.Object ? field : throw field.Expected("an object");
    }
}
