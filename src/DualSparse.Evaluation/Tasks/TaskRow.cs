using System.Text.Json;
using DualSparse.Models;

namespace DualSparse.Evaluation.Tasks;

/// <summary>The fields of one line of a task's file; errors name the file and line.</summary>
internal readonly struct TaskRow(JsonElement fields, string place)
{
    /// <summary>A field's text.</summary>
    /// <exception cref="ModelFormatException">It isn't there or isn't text.</exception>
    public string Text(string name) => Text(Field(name), name);

    /// <summary>A field's list of at least two texts.</summary>
    /// <exception cref="ModelFormatException">It isn't there or isn't such a list.</exception>
    public string[] Choices(string name = "choices")
    {
        var list = Field(name);
        if (list.ValueKind != JsonValueKind.Array || list.GetArrayLength() < 2)
            throw Wrong(name, "a list of two texts or more");
        var row = this;
        return [.. list.EnumerateArray().Select(choice => row.Text(choice, name))];
    }

    /// <summary>The index of the right choice.</summary>
    /// <param name="choices">The number of choices.</param>
    /// <exception cref="ModelFormatException">It isn't there or names no choice.</exception>
    public int Gold(int choices) =>
        Field("gold") is { ValueKind: JsonValueKind.Number } number && number.TryGetInt32(out int gold) && gold >= 0 && gold < choices
            ? gold
            : throw Wrong("gold", $"a whole number from 0 to {choices - 1}");

    /// <summary>The two sides of the one mark in a text.</summary>
    /// <exception cref="ModelFormatException">There is no mark, several, or no text after it.</exception>
    public (string Before, string After) Sides(string name, char mark) =>
        Text(name).Split(mark) is [var before, { Length: > 0 } after] ? (before, after) : throw Wrong(name, $"one '{mark}' with text after it");

    private JsonElement Field(string name) =>
        fields.TryGetProperty(name, out var value) ? value : throw new ModelFormatException($"{place} has no field {name}");

    private string Text(JsonElement value, string name)
    {
        if (value.ValueKind != JsonValueKind.String)
            throw Wrong(name, "text");
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            // The JSON reader's word for an escaped surrogate without its other half.
            throw Wrong(name, "valid Unicode");
        }
    }

    private ModelFormatException Wrong(string name, string expected)
    {
        string found = Field(name).GetRawText();
        return new($"{place}: {name} is {(found.Length <= 80 ? found : found[..80] + "…")}, expected {expected}");
    }
}
