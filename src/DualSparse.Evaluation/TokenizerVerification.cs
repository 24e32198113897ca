using System.Text.Json;
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
        int number = 0;
        foreach (string line in Lines(casesFile))
        {
            number++;
            Case expected;
            try
            {
                expected = Case.Parse(line);
            }
            catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
            {
                throw new ModelFormatException($"{casesFile}: line {number} is not a JSON object with text and ids", e);
            }

            if (Difference(tokenizer, expected) is { } difference)
                differences.Add($"line {number}: {difference}");
        }

        return number > 0 ? new TokenizerReport(number, differences) : throw new ModelFormatException($"{casesFile} holds no case");
    }

    private static string[] Lines(string file)
    {
        try
        {
            return File.ReadAllLines(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw ModelFormatException.Unreadable(file, e);
        }
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
        public static Case Parse(string line)
        {
            using var document = JsonDocument.Parse(line);
            var fields = document.RootElement;
            return new Case(
                fields.GetProperty("text").GetString()!,
                Numbers(fields.GetProperty("ids")),
                fields.TryGetProperty("ids_plain", out var plain) ? Numbers(plain) : null,
                fields.TryGetProperty("decoded", out var decoded) ? decoded.GetString() : null);
        }

        private static int[] Numbers(JsonElement list) => [.. list.EnumerateArray().Select(n => n.GetInt32())];
    }
}
