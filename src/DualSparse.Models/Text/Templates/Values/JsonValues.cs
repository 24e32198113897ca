using System.Globalization;
using System.Numerics;
using System.Text.Json;

namespace DualSparse.Models.Text.Templates;

/// <summary>JSON as values of the template language. Every string gets the origin that is given.</summary>
internal static class JsonValues
{
    /// <summary>A value of JSON.</summary>
    /// <param name="element">The JSON.</param>
    /// <param name="origin">Who wrote its strings.</param>
    /// <param name="path">What errors call it.</param>
    /// <exception cref="ChatTemplateException">A string in it is no valid text.</exception>
    public static object? Of(JsonElement element, TextOrigin origin, string path)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                var dict = new DictValue();
                foreach (var property in element.EnumerateObject())
                    dict.Entries[new MarkedText(Valid(() => property.Name, path), origin)] = Of(property.Value, origin, path);
                return dict;
            case JsonValueKind.Array:
                return new ListValue([.. element.EnumerateArray().Select(item => Of(item, origin, path))]);
            case JsonValueKind.String:
                return new MarkedText(Text(element, path), origin);
            case JsonValueKind.Number:
                return Number(element.GetRawText());
            case JsonValueKind.True or JsonValueKind.False:
                return element.ValueKind == JsonValueKind.True;
            default:
                return null;
        }
    }

    /// <summary>A string of JSON.</summary>
    /// <exception cref="ChatTemplateException">It is no valid text.</exception>
    public static string Text(JsonElement element, string path) => Valid(() => element.GetString()!, path);

    // The JSON reader's word for an escaped surrogate without its other half is this exception.
    private static string Valid(Func<string> read, string path)
    {
        try
        {
            return read();
        }
        catch (InvalidOperationException e)
        {
            throw new ChatTemplateException($"{path} holds a string that is not valid Unicode", e);
        }
    }

    // As Python's: without a point and an exponent it is a whole number.
    private static object Number(string text) =>
        text.AsSpan().IndexOfAny('.', 'e', 'E') >= 0 || text.Length > 1000
            ? double.Parse(text, CultureInfo.InvariantCulture)
            : Numbers.Of(BigInteger.Parse(text, CultureInfo.InvariantCulture));
}
