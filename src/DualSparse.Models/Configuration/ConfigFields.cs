using System.Text.Json;
using System.Text.Unicode;

namespace DualSparse.Models;

/// <summary>
/// The fields of one JSON object, read once each by name, type and range. Fields that nobody asked for are an error
/// (<see cref="RejectUnknown"/>): a setting that isn't understood must not be passed over.
/// </summary>
internal sealed class ConfigFields
{
    private readonly string place;
    private readonly Dictionary<string, JsonElement> fields = new(StringComparer.Ordinal);
    private readonly HashSet<string> seen = new(StringComparer.Ordinal);

    private ConfigFields(string place, JsonElement element)
    {
        this.place = place;
        if (element.ValueKind != JsonValueKind.Object)
            throw new ModelFormatException($"{place}: {Show(element)} is not a JSON object");
        foreach (var property in element.EnumerateObject())
        {
            if (!fields.TryAdd(property.Name, property.Value))
                throw new ModelFormatException($"{place}: '{property.Name}' stands there twice");
        }
    }

    /// <summary>Parses a file's bytes; <paramref name="file"/> is what messages call it.</summary>
    /// <exception cref="ModelFormatException">They are not UTF-8 or not one JSON object, or it names a field twice.</exception>
    public static ConfigFields Parse(byte[] json, string file)
    {
        if (!Utf8.IsValid(json))
            throw new ModelFormatException($"{file}: it is not valid UTF-8");
        try
        {
            using var document = JsonDocument.Parse(json);
            return new ConfigFields(file, document.RootElement.Clone());
        }
        catch (JsonException e)
        {
            throw new ModelFormatException($"{file}: it is not valid JSON (line {e.LineNumber + 1}, byte {e.BytePositionInLine})", e);
        }
        catch (InvalidOperationException e)
        {
            // What a name with an escape such as \ud800 gives, which stands for no character.
            throw new ModelFormatException($"{file}: it holds a string that is no valid text", e);
        }
    }

    /// <summary>Whether the field is there and not null.</summary>
    public bool Has(string name) => fields.TryGetValue(name, out var value) && value.ValueKind != JsonValueKind.Null;

    /// <summary>Whether somebody has asked for the field.</summary>
    public bool WasRead(string name) => seen.Contains(name);

    /// <summary>A whole number from <paramref name="min"/> to <paramref name="max"/>; null or absent gives <paramref name="otherwise"/>.</summary>
    public int Int(string name, int min, int max, int? otherwise = null)
    {
        if (!Find(name, out var value))
            return otherwise ?? throw Missing(name);
        return ToInt(name, value, min, max);
    }

    /// <summary>A number above <paramref name="above"/> and at most <paramref name="max"/>; null or absent gives <paramref name="otherwise"/>.</summary>
    public double Number(string name, double above, double max, double? otherwise = null)
    {
        if (!Find(name, out var value))
            return otherwise ?? throw Missing(name);
        if (value.ValueKind != JsonValueKind.Number || !value.TryGetDouble(out double number) || !(number > above && number <= max))
            throw Bad(name, value, $"a number above {above} and up to {max}");
        return number;
    }

    /// <summary>A number from <paramref name="min"/> to <paramref name="max"/>, or null where it is null or absent.</summary>
    public double? OptionalNumber(string name, double min, double max)
    {
        if (!Find(name, out var value))
            return null;
        if (value.ValueKind != JsonValueKind.Number || !value.TryGetDouble(out double number) || !(number >= min && number <= max))
            throw Bad(name, value, $"a number from {min} to {max}");
        return number;
    }

    /// <summary>true or false; null or absent gives <paramref name="otherwise"/>.</summary>
    public bool Flag(string name, bool otherwise)
    {
        if (!Find(name, out var value))
            return otherwise;
        return value.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw Bad(name, value, "true or false"),
        };
    }

    /// <summary>A string, or null where it is null or absent.</summary>
    public string? Text(string name)
    {
        if (!Find(name, out var value))
            return null;
        return ToText(name, value);
    }

    /// <summary>A list of whole numbers from <paramref name="min"/> to <paramref name="max"/>, a single number counting as a list; null where null or absent.</summary>
    public int[]? IntList(string name, int min, int max)
    {
        if (!Find(name, out var value))
            return null;
        return value.ValueKind == JsonValueKind.Array
            ? [.. value.EnumerateArray().Select(item => ToInt(name, item, min, max))]
            : [ToInt(name, value, min, max)];
    }

    /// <summary>A list of strings, a single string counting as a list; null where null or absent.</summary>
    public string[]? TextList(string name)
    {
        if (!Find(name, out var value))
            return null;
        return value.ValueKind == JsonValueKind.Array
            ? [.. value.EnumerateArray().Select(item => ToText(name, item))]
            : [ToText(name, value)];
    }

    /// <summary>An object's fields, or null where it is null or absent.</summary>
    public ConfigFields? Object(string name)
    {
        if (!Find(name, out var value))
            return null;
        try
        {
            return new ConfigFields($"{place}: '{name}'", value);
        }
        catch (InvalidOperationException e)
        {
            throw new ModelFormatException($"{place}: '{name}' holds a string that is no valid text", e);
        }
    }

    /// <summary>Marks a field as read whatever it holds.</summary>
    public void Ignore(string name) => seen.Add(name);

    /// <summary>A field that may be absent, null, or hold one of the values that change nothing; another one is an error.</summary>
    public void RequireNeutral(string name, params ReadOnlySpan<object> neutral)
    {
        if (!Find(name, out var value))
            return;
        foreach (object allowed in neutral)
        {
            bool same = allowed switch
            {
                bool flag => value.ValueKind == (flag ? JsonValueKind.True : JsonValueKind.False),
                string text => value.ValueKind == JsonValueKind.String && ToText(name, value) == text,
                _ => value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number == Convert.ToDouble(allowed),
            };
            if (same)
                return;
        }

        bool empty = value.ValueKind == JsonValueKind.Array ? value.GetArrayLength() == 0
            : value.ValueKind == JsonValueKind.Object && !value.EnumerateObject().Any();
        if (!empty)
            throw new ModelFormatException($"{place}: '{name}' is {Show(value)}, which is not implemented{(neutral.IsEmpty ? "" : $" (expected {Show(neutral)})")}");
    }

    /// <summary>Names a field that nobody has read, if there is one.</summary>
    /// <exception cref="ModelFormatException">There is one.</exception>
    public void RejectUnknown()
    {
        foreach (var (name, value) in fields)
        {
            if (!seen.Contains(name))
                throw new ModelFormatException($"{place}: field '{name}' (here {Show(value)}) is not known to this program");
        }
    }

    /// <summary>An error about a field of this object, for the caller to throw.</summary>
    public ModelFormatException Error(string message) => new($"{place}: {message}");

    /// <summary>How messages show a field's value.</summary>
    public string Show(string name) => fields.TryGetValue(name, out var value) ? Show(value) : "absent";

    private bool Find(string name, out JsonElement value)
    {
        seen.Add(name);
        return fields.TryGetValue(name, out value) && value.ValueKind != JsonValueKind.Null;
    }

    private int ToInt(string name, JsonElement value, int min, int max)
    {
        if (value.ValueKind != JsonValueKind.Number || !value.TryGetInt64(out long number) || number < min || number > max)
            throw Bad(name, value, $"a whole number from {min} to {max}");
        return (int)number;
    }

    private string ToText(string name, JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.String)
            throw Bad(name, value, "a string");
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw new ModelFormatException($"{place}: '{name}' is no valid text", e);
        }
    }

    private ModelFormatException Missing(string name) => new($"{place}: '{name}' is missing");

    private ModelFormatException Bad(string name, JsonElement value, string expected) =>
        new($"{place}: '{name}' is {Show(value)}, expected {expected}");

    // The value as it stands in the file, cut where it is long.
    private static string Show(JsonElement value)
    {
        string text = value.GetRawText();
        return text.Length <= 60 ? text : text[..60] + "…";
    }

    private static string Show(ReadOnlySpan<object> values) =>
        string.Join(" or ", values.ToArray().Select(value => value is bool flag ? (flag ? "true" : "false") : value.ToString()));
}
