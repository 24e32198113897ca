using System.Text.Json;
using DualSparse.Models;

namespace DualSparse.Server;

/// <summary>
/// A value of a request: gives it as what is expected, or refuses the request in one sentence that names the field, what was found and what
/// was expected. A field that is null counts as missing, as clients send it for what they don't set.
/// </summary>
/// <param name="Value">The value.</param>
internal readonly record struct BodyField(JsonField Value)
{
    /// <summary>Whether it is missing or null.</summary>
    public bool IsNull => Value.IsNull;

    /// <summary>Its path in the request.</summary>
    public string Path => Value.Path;

    /// <summary>Whether it is a string.</summary>
    public bool IsText => Value.Element.ValueKind == JsonValueKind.String;

    /// <summary>Whether it is an array.</summary>
    public bool IsList => Value.Element.ValueKind == JsonValueKind.Array;

    /// <summary>Whether it is an object.</summary>
    public bool IsObject => Value.Element.ValueKind == JsonValueKind.Object;

    /// <summary>Whether it is a number.</summary>
    public bool IsNumber => Value.Element.ValueKind == JsonValueKind.Number;

    /// <summary>Whether it is an array or object without anything in it.</summary>
    public bool IsEmpty => Value.IsEmpty;

    /// <summary>The number of an array's elements.</summary>
    public int Count => Value.Element.GetArrayLength();

    /// <summary>A field of an object.</summary>
    public BodyField this[string name] => Try(v => new BodyField(v.Child(name)));

    /// <summary>An array's elements.</summary>
    public IReadOnlyList<BodyField> Items() => Try(v => v.Items().Select(item => new BodyField(item)).ToArray());

    /// <summary>An object's fields.</summary>
    public IEnumerable<(string Name, BodyField Value)> Fields() => Try(v => v.Children().Select(c => (c.Key, new BodyField(c.Value))).ToArray());

    /// <summary>A string.</summary>
    public string AsText() => Try(v => v.AsText());

    /// <summary>A string, or null where it is missing.</summary>
    public string? Text() => IsNull ? null : AsText();

    /// <summary>True or false; <paramref name="otherwise"/> where it is missing.</summary>
    public bool Flag(bool otherwise) => Try(v => v.AsFlag(otherwise));

    /// <summary>A whole number, or null where it is missing.</summary>
    public int? Int(int min, int max) => IsNull ? null : Try(v => v.AsInt(min, max));

    /// <summary>A number, or null where it is missing.</summary>
    public double? Number(double min, double max) => IsNull ? null : Try(v => v.AsNumber(min, max));

    /// <summary>A whole number of 64 bits, with or without sign, or null where it is missing.</summary>
    public ulong? Bits() => IsNull ? null
        : IsNumber && Value.Element.TryGetUInt64(out ulong plain) ? plain
        : IsNumber && Value.Element.TryGetInt64(out long signed) ? (ulong)signed
        : throw Expected("a whole number of at most 64 bits");

    /// <summary>Refuses any other kind of value.</summary>
    public void Require(JsonValueKind kind, string name)
    {
        if (Value.Element.ValueKind != kind)
            throw Expected(name);
    }

    /// <summary>The refusal of a value that isn't as it must be.</summary>
    public ApiException Expected(string what) => Errors.Invalid(Value.Expected(what).Message, Path);

    private T Try<T>(Func<JsonField, T> read)
    {
        try
        {
            return read(Value);
        }
        catch (ModelFormatException e)
        {
            throw Errors.Invalid(e.Message, Path.Length == 0 ? null : Path, null, e);
        }
    }
}
