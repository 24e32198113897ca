using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace DualSparse.Models.Text.Templates;

/// <summary>Calls whose arguments stand in tags of their own, as text: a tool's schema says which of them are numbers and the like.</summary>
internal static partial class TaggedCalls
{
    /// <summary>name, then a tag with each key and one with its value.</summary>
    public static IReadOnlyList<CallText>? Keys(string body, ToolSchemas tools)
    {
        int first = body.IndexOf("<arg_key>", StringComparison.Ordinal);
        string name = (first < 0 ? body : body[..first]).Trim();
        if (name.Length == 0 || name.Contains('<', StringComparison.Ordinal))
            return null;
        var arguments = new JsonObject();
        foreach (Match match in KeyAndValue().Matches(body))
            arguments[match.Groups[1].Value.Trim()] = Value(match.Groups[2].Value, tools.TypeOf(name, match.Groups[1].Value.Trim()));
        return [new(name, arguments.ToJsonString(JsonOptions))];
    }

    /// <summary>A tag with the function's name around one with each parameter's.</summary>
    public static IReadOnlyList<CallText>? Functions(string body, ToolSchemas tools)
    {
        // The mark that opened the call may have been the function's own.
        int tag = body.IndexOf("<function=", StringComparison.Ordinal), start = tag < 0 ? 0 : tag + 10, close = body.IndexOf('>', start);
        string name = close < 0 ? "" : body[start..close].Trim();
        if (name.Length == 0 || name.AsSpan().IndexOfAny("<{ \n") >= 0)
            return null;
        var arguments = new JsonObject();
        foreach (Match match in Parameter().Matches(body))
            arguments[match.Groups[1].Value.Trim()] = Value(Lines(match.Groups[2].Value), tools.TypeOf(name, match.Groups[1].Value.Trim()));
        return [new(name, arguments.ToJsonString(JsonOptions))];
    }

    /// <summary>Tags that say themselves whether a value is a string.</summary>
    public static IReadOnlyList<CallText>? Invokes(string body, ToolSchemas tools)
    {
        List<CallText> calls = [];
        foreach (Match invoke in Invoke().Matches(body))
        {
            var arguments = new JsonObject();
            foreach (Match match in InvokeParameter().Matches(invoke.Groups[2].Value))
                arguments[match.Groups[1].Value] = Value(match.Groups[3].Value, match.Groups[2].Value == "true" ? "string" : null);
            calls.Add(new(invoke.Groups[1].Value, arguments.ToJsonString(JsonOptions)));
        }

        return calls;
    }

    private static readonly JsonSerializerOptions JsonOptions = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // The line breaks next to the tags are the format's.
    private static string Lines(string value)
    {
        value = value.StartsWith('\n') ? value[1..] : value;
        return value.EndsWith('\n') ? value[..^1] : value;
    }

    private static JsonNode? Value(string text, string? type)
    {
        if (type == "string")
            return JsonValue.Create(text);
        try
        {
            return JsonNode.Parse(text);
        }
        catch (JsonException)
        {
            return JsonValue.Create(text);
        }
    }

    [GeneratedRegex("<arg_key>(.*?)</arg_key>\\s*<arg_value>(.*?)</arg_value>", RegexOptions.Singleline)]
    private static partial Regex KeyAndValue();

    [GeneratedRegex("<parameter=([^>\n]+)>(.*?)(?:</parameter>|(?=<parameter=)|$)", RegexOptions.Singleline)]
    private static partial Regex Parameter();

    [GeneratedRegex("<｜DSML｜invoke name=\"([^\"]+)\">(.*?)</｜DSML｜invoke>", RegexOptions.Singleline)]
    private static partial Regex Invoke();

    [GeneratedRegex("<｜DSML｜parameter name=\"([^\"]+)\" string=\"(true|false)\">(.*?)</｜DSML｜parameter>", RegexOptions.Singleline)]
    private static partial Regex InvokeParameter();
}
