using System.Text;
using System.Text.Json;

namespace DualSparse.Models.Text.Templates;

/// <summary>Calls as JSON: one object, several, or a list of them, each with name and arguments.</summary>
internal static class JsonCalls
{
    private static readonly string[] s_names = ["name", "tool_name", "function"];
    private static readonly string[] s_arguments = ["arguments", "parameters", "args"];

    /// <summary>The calls; null: there is something else.</summary>
    public static IReadOnlyList<CallText>? Read(string body, ToolSchemas tools)
    {
        List<CallText> calls = [];
        try
        {
            foreach (var value in Values(body))
            {
                foreach (var call in value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : Enumerable.Repeat(value, 1))
                {
                    if (Call(call, tools) is not { } read)
                        return null;
                    calls.Add(read);
                }
            }
        }
        catch (InvalidOperationException)
        {
            // The JSON reader's word for an escape such as \ud800 that stands for no character.
            return null;
        }

        return calls;
    }

    /// <summary>The object that a text is, as it is written; null: it is none.</summary>
    public static string? Object(string text)
    {
        try
        {
            return JsonElement.Parse(text) is { ValueKind: JsonValueKind.Object } ? text.Trim() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    // JSON values behind each other, with white space or a semicolon between. What isn't JSON gives none at all.
    private static List<JsonElement> Values(string body)
    {
        List<JsonElement> values = [];
        byte[] bytes = Encoding.UTF8.GetBytes(body);
        try
        {
            for (int start = Skip(bytes, 0); start < bytes.Length;)
            {
                var reader = new Utf8JsonReader(bytes.AsSpan(start));
                values.Add(JsonElement.ParseValue(ref reader));
                start = Skip(bytes, start + (int)reader.BytesConsumed);
            }
        }
        catch (JsonException)
        {
            return [];
        }

        return values;
    }

    private static int Skip(byte[] bytes, int at)
    {
        while (at < bytes.Length && bytes[at] is (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t' or (byte)';')
            at++;
        return at;
    }

    private static CallText? Call(JsonElement call, ToolSchemas tools)
    {
        if (call.ValueKind != JsonValueKind.Object)
            return null;
        // {"function": {"name": …, "arguments": …}}
        if (call.TryGetProperty("function", out var inner) && inner.ValueKind == JsonValueKind.Object)
            call = inner;
        var name = First(call, s_names);
        if (name.ValueKind != JsonValueKind.String)
        {
            // {name: {…arguments}}
            return call.GetPropertyCount() == 1 && call.EnumerateObject().First() is { Value.ValueKind: JsonValueKind.Object } only && tools.Has(only.Name)
                ? new(only.Name, only.Value.GetRawText()) : null;
        }

        var arguments = First(call, s_arguments);
        string? text = arguments.ValueKind switch
        {
            JsonValueKind.Object => arguments.GetRawText(),
            JsonValueKind.String => Object(arguments.GetString()!),
            JsonValueKind.Undefined or JsonValueKind.Null => "{}",
            _ => null,
        };
        return text is null ? null : new(name.GetString()!, text, call.TryGetProperty("id", out var id) && id.ValueKind == JsonValueKind.String ? id.GetString() : null);
    }

    private static JsonElement First(JsonElement call, string[] names)
    {
        foreach (string name in names)
        {
            if (call.TryGetProperty(name, out var value))
                return value;
        }

        return default;
    }
}
