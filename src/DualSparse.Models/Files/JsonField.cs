using System.Diagnostics.CodeAnalysis;
using System.Text.Json;

namespace DualSparse.Models;

/// <summary>
/// A value in a JSON file: gives it as what a reader asks for, or an error of one sentence that names file and field, what was found and what
/// was expected. Where a method takes <c>otherwise</c>, a missing value and null give that.
/// </summary>
/// <param name="File">The file, for messages.</param>
/// <param name="Path">Where the value stands, such as <c>pre_tokenizer.pretokenizers[0]</c>; empty for the whole file.</param>
/// <param name="Element">The value; undefined where it is missing.</param>
internal readonly record struct JsonField(string File, string Path, JsonElement Element)
{
    // Enough to recognise a value by.
    private const int MaxShown = 60;

    /// <summary>True where the value is null or missing.</summary>
    public bool IsNull => Element.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined;

    /// <summary>True where the value is an array or an object with nothing in it.</summary>
    public bool IsEmpty => Element.ValueKind switch
    {
        JsonValueKind.Array => Element.GetArrayLength() == 0,
        JsonValueKind.Object => Element.GetPropertyCount() == 0,
        _ => false,
    };

    /// <summary>How messages show the value: as it stands in the file, cut where it is long.</summary>
    public string Found => Element.ValueKind == JsonValueKind.Undefined ? "missing" : Shorten(JsonText.AsWritten(Element.GetRawText()));

    /// <summary>The string <c>type</c> below the value.</summary>
    public string Type => Text("type");

    /// <summary>Parses a file's bytes; <paramref name="file"/> is what messages call it.</summary>
    /// <exception cref="ModelFormatException">They are not UTF-8 or not JSON, or an object names a field twice.</exception>
    public static JsonField Parse(ReadOnlySpan<byte> json, string file)
    {
        var whole = new JsonField(file, "", JsonText.Read(json, file, static utf8 => JsonElement.Parse(utf8)));
        whole.RefuseRepeats();
        return whole;
    }

    /// <summary>Refuses objects, at any depth, that name a field twice: readers disagree on which of the two counts.</summary>
    /// <exception cref="ModelFormatException">There is one.</exception>
    public void RefuseRepeats()
    {
        if (Element.ValueKind == JsonValueKind.Array)
        {
            // Long lists of numbers are passed by.
            foreach (var (index, item) in Element.EnumerateArray().Index())
            {
                if (item.ValueKind is JsonValueKind.Array or JsonValueKind.Object)
                    new JsonField(File, $"{Path}[{index}]", item).RefuseRepeats();
            }
        }
        else if (Element.ValueKind == JsonValueKind.Object)
        {
            foreach (var child in Children().Values)
                child.RefuseRepeats();
        }
    }

    /// <summary>The field <paramref name="name"/> of the value, an object; it may be missing.</summary>
    public JsonField Child(string name) => Below(name, Object().TryGetProperty(name, out var child) ? child : default);

    /// <summary>The fields of the value, an object, in the file's order.</summary>
    /// <exception cref="ModelFormatException">It isn't an object, or names a field twice.</exception>
    public OrderedDictionary<string, JsonField> Children()
    {
        var children = new OrderedDictionary<string, JsonField>(StringComparer.Ordinal);
        try
        {
            foreach (var property in Object().EnumerateObject())
            {
                if (!children.TryAdd(property.Name, Below(property.Name, property.Value)))
                    throw Error($"'{property.Name}' stands there twice");
            }
        }
        catch (InvalidOperationException e)
        {
            // What a name with an escape such as \ud800 gives, which stands for no character.
            throw Error("it holds a name that is no valid text", e);
        }

        return children;
    }

    /// <summary>The elements of the value, an array.</summary>
    public IEnumerable<JsonField> Items()
    {
        if (Element.ValueKind != JsonValueKind.Array)
            throw Expected("an array");
        var (file, path, list) = this;
        return list.EnumerateArray().Select((item, index) => new JsonField(file, $"{path}[{index}]", item));
    }

    /// <summary>The elements of the value, or the value itself where it isn't an array.</summary>
    public IEnumerable<JsonField> OneOrMany() => Element.ValueKind == JsonValueKind.Array ? Items() : [this];

    /// <summary>The elements of the array <paramref name="name"/> below the value.</summary>
    public IEnumerable<JsonField> Items(string name) => Child(name).Items();

    /// <summary>The value as text.</summary>
    public string AsText()
    {
        if (Element.ValueKind != JsonValueKind.String || JsonText.IsNoNumber(Element))
            throw Expected("a string");
        try
        {
            return Element.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw Wrong("which is no valid text", e);
        }
    }

    /// <summary>The value as text.</summary>
    [return: NotNullIfNotNull(nameof(otherwise))]
    public string? AsText(string? otherwise) => IsNull ? otherwise : AsText();

    /// <summary>The string <paramref name="name"/> below the value.</summary>
    public string Text(string name) => Child(name).AsText();

    /// <summary>The string <paramref name="name"/> below the value.</summary>
    [return: NotNullIfNotNull(nameof(otherwise))]
    public string? Text(string name, string? otherwise) => Child(name).AsText(otherwise);

    /// <summary>The value as true or false.</summary>
    public bool AsFlag(bool otherwise) => Element.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => IsNull ? otherwise : throw Expected("true or false"),
    };

    /// <summary>The truth value <paramref name="name"/> below the value.</summary>
    public bool Flag(string name, bool otherwise) => Child(name).AsFlag(otherwise);

    /// <summary>The value as a whole number from <paramref name="min"/> to <paramref name="max"/>; an error where it is null and <paramref name="otherwise"/> too.</summary>
    public int AsInt(int min, int max, int? otherwise = null)
    {
        if (IsNull && otherwise is { } given)
            return given;
        // 32768.0 is a whole number too, as some programs write one.
        return TryNumber(out double number) && double.IsInteger(number) && number >= min && number <= max
            ? (int)number
            : throw Expected($"a whole number from {min} to {max}");
    }

    /// <summary>The value as a number from <paramref name="min"/> to <paramref name="max"/>.</summary>
    public double AsNumber(double min, double max) =>
        TryNumber(out double number) && number >= min && number <= max ? number : throw Expected($"a number from {min} to {max}");

    /// <summary>The value as a number above <paramref name="above"/> and up to <paramref name="max"/>.</summary>
    public double AsNumberAbove(double above, double max) =>
        TryNumber(out double number) && number > above && number <= max ? number : throw Expected($"a number above {above} and up to {max}");

    /// <summary>Whether the value is <paramref name="other"/>: a truth value, a string or a number.</summary>
    public bool Is(object other) => other switch
    {
        bool flag => Element.ValueKind == (flag ? JsonValueKind.True : JsonValueKind.False),
        string text => JsonText.Is(Element, text),
        _ => TryNumber(out double number) && number == Convert.ToDouble(other),
    };

    /// <summary>The error that the value isn't what was expected.</summary>
    public ModelFormatException Expected(string what) => Wrong($"expected {what}");

    /// <summary>The error that the value can't be used, with the reason.</summary>
    public ModelFormatException Wrong(string reason, Exception? inner = null) =>
        new($"{File}: {(Path.Length == 0 ? "the top level" : $"'{Path}'")} is {Found}, {reason}", inner);

    /// <summary>The error that the value asks for something that isn't implemented.</summary>
    public ModelFormatException NotImplemented(string what) => Error($"{what} isn't implemented");

    /// <summary>An error about what stands in the value.</summary>
    public ModelFormatException Error(string message, Exception? inner = null) =>
        new(Path.Length == 0 ? $"{File}: {message}" : $"{File}: '{Path}': {message}", inner);

    /// <summary>As much of <paramref name="text"/> as a message shows.</summary>
    public static string Shorten(string text) => text.Length <= MaxShown ? text : text[..MaxShown] + "…";

    private JsonElement Object() => Element.ValueKind == JsonValueKind.Object ? Element : throw Expected("an object");

    private JsonField Below(string name, JsonElement element) => new(File, Path.Length == 0 ? name : $"{Path}.{name}", element);

    private bool TryNumber(out double number)
    {
        number = 0;
        return Element.ValueKind == JsonValueKind.Number && Element.TryGetDouble(out number);
    }
}
