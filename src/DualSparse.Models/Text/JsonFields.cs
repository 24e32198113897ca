using System.Text.Json;

namespace DualSparse.Models.Text;

/// <summary>Reads fields of one component of tokenizer.json and names the field where it isn't what was expected.</summary>
/// <param name="File">The file, for messages.</param>
/// <param name="Path">Where the component stands, such as <c>pre_tokenizer</c>.</param>
/// <param name="Element">The component.</param>
internal readonly record struct JsonFields(string File, string Path, JsonElement Element)
{
    /// <summary>True where the component is null or missing.</summary>
    public bool IsNull => Element.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined;

    /// <summary>The component's <c>type</c>.</summary>
    public string Type => Text("type");

    /// <summary>The component <paramref name="name"/>; null where it is missing.</summary>
    public JsonFields Child(string name)
    {
        if (Element.ValueKind != JsonValueKind.Object)
        {
            throw Expected("an object");
        }

        return new(File, Path.Length == 0 ? name : $"{Path}.{name}", Element.TryGetProperty(name, out JsonElement child) ? child : default);
    }

    /// <summary>The elements of the array <paramref name="name"/>.</summary>
    public IEnumerable<JsonFields> Items(string name) => Child(name).Items();

    /// <summary>The elements of the component, an array.</summary>
    public IEnumerable<JsonFields> Items()
    {
        if (Element.ValueKind != JsonValueKind.Array)
        {
            throw Expected("an array");
        }

        (string file, string path, JsonElement list) = this;
        return list.EnumerateArray().Select((item, index) => new JsonFields(file, $"{path}[{index}]", item));
    }

    /// <summary>The value as text.</summary>
    public string AsText()
    {
        if (Element.ValueKind != JsonValueKind.String)
        {
            throw Expected("a string");
        }

        return Element.GetString()!;
    }

    /// <summary>The string <paramref name="name"/>.</summary>
    public string Text(string name) => Child(name).AsText();

    /// <summary>The string <paramref name="name"/>, or <paramref name="missing"/> where it is null or missing.</summary>
    public string? Text(string name, string? missing) => Child(name) is { IsNull: false } child ? child.AsText() : missing;

    /// <summary>The truth value <paramref name="name"/>, or <paramref name="missing"/> where it is null or missing.</summary>
    public bool Flag(string name, bool missing)
    {
        JsonFields child = Child(name);
        return child.Element.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            JsonValueKind.Null or JsonValueKind.Undefined => missing,
            _ => throw child.Expected("true or false"),
        };
    }

    /// <summary>The value as a token id: 0 to <see cref="Vocabulary.MaxIds"/> - 1.</summary>
    public int AsId()
    {
        if (Element.ValueKind != JsonValueKind.Number || !Element.TryGetInt32(out int id) || id < 0 || id >= Vocabulary.MaxIds)
        {
            throw Expected($"an id of 0 to {Vocabulary.MaxIds - 1}");
        }

        return id;
    }

    /// <summary>The whole number <paramref name="name"/> from 0 to <paramref name="most"/>, or 0 where it is missing.</summary>
    public int Count(string name, int most)
    {
        JsonFields child = Child(name);
        if (child.IsNull)
        {
            return 0;
        }

        if (child.Element.ValueKind != JsonValueKind.Number || !child.Element.TryGetInt32(out int value) || value < 0 || value > most)
        {
            throw child.Expected($"a whole number of 0 to {most}");
        }

        return value;
    }

    /// <summary>The error that this component isn't what was expected.</summary>
    public ModelFormatException Expected(string what)
    {
        string found = Element.ValueKind == JsonValueKind.Undefined ? "missing" : Shorten(Element.GetRawText());
        return new($"{File}: {(Path.Length == 0 ? "the top level" : Path)} is {found}, expected {what}");
    }

    /// <summary>The error that this component asks for something that isn't implemented.</summary>
    public ModelFormatException NotImplemented(string what) => new($"{File}: {Path}: {what} isn't implemented");

    /// <summary>At most 40 characters of <paramref name="text"/> on one line, for messages.</summary>
    public static string Shorten(string text)
    {
        string line = string.Concat(text.Take(41).Select(c => char.IsControl(c) ? ' ' : c));
        return line.Length > 40 ? line[..40] + "…" : line;
    }
}
