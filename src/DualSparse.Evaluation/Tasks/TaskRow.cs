using System.Text.Json;
using DualSparse.Models;

namespace DualSparse.Evaluation.Tasks;

/// <summary>The fields of one line of a task's file; what is missing or of another type is said with file and line.</summary>
/// <param name="fields">The line's object.</param>
internal readonly struct TaskRow(JsonField fields)
{
    /// <summary>A field's text.</summary>
    /// <exception cref="ModelFormatException">It isn't there or isn't text.</exception>
    public string Text(string name) => fields.Text(name);

    /// <summary>A field's list of at least two texts.</summary>
    /// <exception cref="ModelFormatException">It isn't there or isn't such a list.</exception>
    public string[] Choices(string name = "choices")
    {
        var list = fields.Child(name);
        return list.Element.ValueKind == JsonValueKind.Array && list.Element.GetArrayLength() >= 2
            ? [.. list.Items().Select(choice => choice.AsText())]
            : throw list.Expected("a list of two texts or more");
    }

    /// <summary>The index of the right choice.</summary>
    /// <param name="choices">The number of choices.</param>
    /// <exception cref="ModelFormatException">It isn't there or names no choice.</exception>
    public int Gold(int choices) => fields.Child("gold").AsInt(0, choices - 1);

    /// <summary>The two sides of the one mark in a text.</summary>
    /// <exception cref="ModelFormatException">There is no mark, several, or no text after it.</exception>
    public (string Before, string After) Sides(string name, char mark) =>
        Text(name).Split(mark) is [var before, { Length: > 0 } after] ? (before, after) : throw fields.Child(name).Expected($"one '{mark}' with text after it");
}
