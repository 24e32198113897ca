using DualSparse.Models;
using DualSparse.Models.Text;

namespace DualSparse.Evaluation;

/// <summary>How a tokenizer did.</summary>
/// <param name="Cases">Cases compared.</param>
/// <param name="Differences">A sentence for each that differs.</param>
internal sealed record TokenizerReport(int Cases, IReadOnlyList<string> Differences);

/// <summary>
/// Compares a tokenizer with another's cases, one JSON object a line: <c>text</c>, <c>ids</c> (with the special tokens around it) and,
/// where they are there, <c>ids_plain</c> (without) and <c>decoded</c> (the text of ids_plain).
/// </summary>
internal static class TokenizerVerification
{
    /// <summary>Runs all cases.</summary>
    /// <exception cref="ModelFormatException">The file is not as described.</exception>
    public static TokenizerReport Compare(Tokenizer tokenizer, string casesFile)
    {
        List<string> differences = [];
        var lines = JsonLine.Read(casesFile);
        foreach (var line in lines)
        {
            if (Difference(tokenizer, Case.Of(line.Parse())) is { } difference)
                differences.Add($"line {line.Number}: {difference}");
        }

        return lines.Count > 0 ? new TokenizerReport(lines.Count, differences) : throw new ModelFormatException($"{casesFile} holds no case");
    }

    private static string? Difference(Tokenizer tokenizer, Case expected)
    {
        if (Show("ids", expected.Ids, tokenizer.Encode(expected.Text)) is { } ids)
            return ids;
        if (expected.Plain is null)
            return null;
        if (Show("ids_plain", expected.Plain, tokenizer.Encode(expected.Text, addSpecial: false)) is { } plain)
            return plain;
        string text = tokenizer.Decode(expected.Plain);
        return expected.Decoded is null || expected.Decoded == text ? null : $"decoded is \"{text}\", expected \"{expected.Decoded}\"";
    }

    private static string? Show(string name, int[] expected, IReadOnlyList<int> found) =>
        expected.SequenceEqual(found) ? null : $"{name} are {string.Join(' ', found)}, expected {string.Join(' ', expected)}";

    private sealed record Case(string Text, int[] Ids, int[]? Plain, string? Decoded)
    {
        public static Case Of(JsonField fields) => new(
            fields.Text("text"), Numbers(fields.Child("ids")), fields.Child("ids_plain") is { IsNull: false } plain ? Numbers(plain) : null, fields.Text("decoded", null));

        private static int[] Numbers(JsonField list) => [.. list.Items().Select(n => n.AsInt(int.MinValue, int.MaxValue))];
    }
}
