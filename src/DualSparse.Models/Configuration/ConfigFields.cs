namespace DualSparse.Models;

/// <summary>
/// The fields of one JSON object and which of them were read. Fields that nobody asked for are an error (<see cref="RejectUnknown"/>): a
/// setting that isn't understood must not be passed over. Where a method takes <c>otherwise</c>, a missing field and null give that.
/// </summary>
internal sealed class ConfigFields
{
    private readonly JsonField whole;
    private readonly OrderedDictionary<string, JsonField> fields;
    private readonly HashSet<string> seen = new(StringComparer.Ordinal);

    private ConfigFields(JsonField whole) => (this.whole, fields) = (whole, whole.Children());

    /// <summary>Parses a file's bytes; <paramref name="file"/> is what messages call it.</summary>
    /// <exception cref="ModelFormatException">They are not UTF-8 or not one JSON object, or it names a field twice.</exception>
    public static ConfigFields Parse(byte[] json, string file) => new(JsonField.Parse(json, file));

    /// <summary>Whether the field is there and not null.</summary>
    public bool Has(string name) => !Field(name).IsNull;

    /// <summary>Whether somebody has asked for the field.</summary>
    public bool WasRead(string name) => seen.Contains(name);

    /// <summary>The fields that nobody has asked for.</summary>
    public IEnumerable<string> Unread => fields.Keys.Where(name => !seen.Contains(name));

    /// <summary>A whole number from <paramref name="min"/> to <paramref name="max"/>.</summary>
    public int Int(string name, int min, int max, int? otherwise = null) => Read(name).AsInt(min, max, otherwise);

    /// <summary>A number above <paramref name="above"/> and at most <paramref name="max"/>.</summary>
    public double Number(string name, double above, double max, double? otherwise = null) =>
        Read(name) is var field && field.IsNull && otherwise is { } given ? given : field.AsNumberAbove(above, max);

    /// <summary>A number from <paramref name="min"/> to <paramref name="max"/>, or null where it is null or missing.</summary>
    public double? OptionalNumber(string name, double min, double max) => ReadGiven(name)?.AsNumber(min, max);

    /// <summary>true or false.</summary>
    public bool Flag(string name, bool otherwise) => Read(name).AsFlag(otherwise);

    /// <summary>A string, or null where it is null or missing.</summary>
    public string? Text(string name) => Read(name).AsText(null);

    /// <summary>A list of whole numbers from <paramref name="min"/> to <paramref name="max"/>, a single number counting as a list; null where null or missing.</summary>
    public int[]? IntList(string name, int min, int max) => ReadGiven(name)?.OneOrMany().Select(item => item.AsInt(min, max)).ToArray();

    /// <summary>A list of numbers from <paramref name="min"/> to <paramref name="max"/>, a single number counting as a list; null where null or missing.</summary>
    public double[]? NumberList(string name, double min, double max) => ReadGiven(name)?.OneOrMany().Select(item => item.AsNumber(min, max)).ToArray();

    /// <summary>A list of strings, a single string counting as a list; null where null or missing.</summary>
    public string[]? TextList(string name) => ReadGiven(name)?.OneOrMany().Select(item => item.AsText()).ToArray();

    /// <summary>An object's fields, or null where it is null or missing.</summary>
    public ConfigFields? Object(string name) => ReadGiven(name) is { } field ? new(field) : null;

    /// <summary>Marks a field as read whatever it holds.</summary>
    public void Ignore(string name) => seen.Add(name);

    /// <summary>A field that may be missing, null, empty, or hold one of the values that change nothing; another one is an error.</summary>
    public void RequireNeutral(string name, params object[] neutral)
    {
        if (ReadGiven(name) is not { } field || neutral.Any(field.Is) || field.IsEmpty)
            return;
        string allowed = string.Join(" or ", neutral.Select(value => value is bool flag ? (flag ? "true" : "false") : value.ToString()));
        throw field.Wrong($"which is not implemented{(neutral is [] ? "" : $" (expected {allowed})")}");
    }

    /// <summary>Names a field that nobody has read, if there is one.</summary>
    /// <exception cref="ModelFormatException">There is one.</exception>
    public void RejectUnknown()
    {
        foreach (string name in Unread)
            throw whole.Error($"field '{name}' (here {fields[name].Found}) is not known to this program");
    }

    /// <summary>An error about a field of this object, for the caller to throw.</summary>
    public ModelFormatException Error(string message) => whole.Error(message);

    /// <summary>How messages show a field's value.</summary>
    public string Show(string name) => Field(name).Found;

    private JsonField Read(string name)
    {
        seen.Add(name);
        return Field(name);
    }

    private JsonField? ReadGiven(string name) => Read(name) is { IsNull: false } field ? field : null;

    private JsonField Field(string name) => fields.TryGetValue(name, out var field) ? field : whole.Child(name);
}
