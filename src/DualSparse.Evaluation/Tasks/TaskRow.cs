using System.Text.Json;
using DualSparse.Models;
using DualSparse.Models.Pictures;

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

    /// <summary>The row's pictures, if it has any.</summary>
    /// <param name="folder">Where their files are.</param>
    /// <exception cref="ModelFormatException">They are no list of texts, or too many.</exception>
    /// <exception cref="PictureException">One is an address on the web, or there is no such file.</exception>
    public IReadOnlyList<TaskPicture> Pictures(string folder)
    {
        var list = fields.Child("images");
        if (list.IsNull)
            return [];
        return list.Element.ValueKind == JsonValueKind.Array && list.Element.GetArrayLength() <= TaskPicture.Most
            ? [.. list.Items().Select(one => TaskPicture.Of(one, folder))]
            : throw list.Expected($"a list of at most {TaskPicture.Most} pictures: files in this folder, or 'data:image/png;base64,…'");
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
