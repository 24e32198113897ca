using System.Text.Json;

namespace DualSparse.Models.Text.Templates;

/// <summary>
/// THE place where messages become what templates expect: a developer's message is a system's, content in parts is one string, arguments of tool
/// calls are objects, an empty list of tool calls isn't there. Where a message has pictures, its parts stay parts. A message that isn't as it should be is an error that names it.
/// </summary>
internal sealed class MessagePreparation(string source, TemplateTraits traits, bool readsPictures = false)
{
    // Names of a closed list: they count as the template's, which often writes '<|' + role + '|>'.
    private static readonly string[] s_roles = ["system", "developer", "user", "assistant", "tool", "function"];

    // What clients call a part that is a picture.
    private static readonly string[] s_pictures = ["image", "image_url", "input_image"];

    private readonly bool knowsDeveloper = source.Contains("'developer'", StringComparison.Ordinal) || source.Contains("\"developer\"", StringComparison.Ordinal);

    /// <summary>The messages as values.</summary>
    /// <exception cref="ChatTemplateException">One isn't as it should be.</exception>
    public ListValue Prepare(JsonElement messages)
    {
        if (messages.ValueKind != JsonValueKind.Array)
            throw new ChatTemplateException("messages is no array");
        if (messages.GetArrayLength() == 0)
            throw new ChatTemplateException("messages is empty, expected at least one message");
        return new([.. messages.EnumerateArray().Select((message, i) => (object?)Checked(message, $"messages[{i}]"))]);
    }

    private DictValue Checked(JsonElement message, string path)
    {
        try
        {
            return Prepare(message, path);
        }
        catch (InvalidOperationException e)
        {
            // The JSON reader's word for a name with an escaped surrogate without its other half.
            throw new ChatTemplateException($"{path} holds a name that is not valid Unicode", e);
        }
    }

    private DictValue Prepare(JsonElement message, string path)
    {
        if (message.ValueKind != JsonValueKind.Object)
            throw new ChatTemplateException($"{path} is no object");
        string role = message.TryGetProperty("role", out var given) && given.ValueKind == JsonValueKind.String
            ? JsonValues.Text(given, $"{path}.role") : throw Expected(given, $"{path}.role", "a string such as 'user'");
        var origin = role == "assistant" ? TextOrigin.Model : TextOrigin.Caller;
        var result = new DictValue
        {
            ["role"] = new MarkedText(role == "developer" && !knowsDeveloper ? "system" : role, s_roles.Contains(role) ? TextOrigin.Template : TextOrigin.Caller),
        };
        var calls = ToolCalls(message, path, origin);
        Content(message, path, role, origin, calls is not null, result);
        foreach (var property in message.EnumerateObject())
        {
            string name = property.Name;
            if (name is not ("role" or "content" or "tool_calls"))
                result.Entries[new MarkedText(name, origin)] = JsonValues.Of(property.Value, origin, $"{path}.{name}");
        }

        // Some clients send one name, templates know the other.
        if (!message.TryGetProperty("reasoning_content", out _) && message.TryGetProperty("reasoning", out var reasoning) && reasoning.ValueKind == JsonValueKind.String)
            result["reasoning_content"] = new MarkedText(JsonValues.Text(reasoning, $"{path}.reasoning"), origin);
        if (calls is not null)
            result["tool_calls"] = calls;
        return result;
    }

    private void Content(JsonElement message, string path, string role, TextOrigin origin, bool hasCalls, DictValue result)
    {
        bool there = message.TryGetProperty("content", out var content) && content.ValueKind != JsonValueKind.Null;
        if (there && readsPictures && content.ValueKind == JsonValueKind.Array && content.EnumerateArray().Any(IsPicture))
        {
            result["content"] = new ListValue([.. content.EnumerateArray().Select((part, i) => (object?)Part(part, $"{path}.content[{i}]", origin))]);
        }
        else if (there)
        {
            string text = Text(content, $"{path}.content");
            result["content"] = traits.WantsParts
                ? new ListValue([new DictValue { ["type"] = new MarkedText("text"), ["text"] = new MarkedText(text, origin) }])
                : new MarkedText(text, origin);
        }
        else if (role != "assistant")
        {
            throw Expected(content, $"{path}.content", "a string or a list of parts");
        }
        else if (!hasCalls || traits.EmptyContent == EmptyContent.Text)
        {
            result["content"] = MarkedText.Empty;
        }
        else if (traits.EmptyContent == EmptyContent.None)
        {
            result["content"] = null;
        }
    }

    /// <summary>Whether a part of a content stands for a picture.</summary>
    public static bool IsPicture(JsonElement part) => part.ValueKind == JsonValueKind.Object && part.TryGetProperty("type", out var type)
        && s_pictures.Any(kind => JsonText.Is(type, kind));

    // Of a picture the template learns that it is there and no more.
    private static DictValue Part(JsonElement part, string path, TextOrigin origin) => IsPicture(part)
        ? new DictValue { ["type"] = new MarkedText("image") }
        : new DictValue { ["type"] = new MarkedText("text"), ["text"] = new MarkedText(PartText(part, path), origin) };

    private static string Text(JsonElement content, string path)
    {
        if (content.ValueKind == JsonValueKind.String)
            return JsonValues.Text(content, path);
        if (content.ValueKind != JsonValueKind.Array)
            throw Expected(content, path, "a string or a list of parts");
        return string.Concat(content.EnumerateArray().Select((part, i) => PartText(part, $"{path}[{i}]")));
    }

    private static string PartText(JsonElement part, string path)
    {
        if (part.ValueKind == JsonValueKind.String)
            return JsonValues.Text(part, path);
        if (part.ValueKind != JsonValueKind.Object || !part.TryGetProperty("type", out var type) || type.ValueKind != JsonValueKind.String)
            throw new ChatTemplateException($"{path} is no part of a content: expected an object with 'type' and 'text'");
        string kind = JsonValues.Text(type, $"{path}.type");
        string field = kind switch
        {
            "text" or "input_text" or "output_text" => "text",
            "refusal" => "refusal",
            _ => throw new ChatTemplateException($"{path}.type is '{JsonField.Shorten(kind)}', expected 'text': this model reads text alone"),
        };
        return part.TryGetProperty(field, out var text) && text.ValueKind == JsonValueKind.String
            ? JsonValues.Text(text, $"{path}.{field}") : throw Expected(text, $"{path}.{field}", "a string");
    }

    private ListValue? ToolCalls(JsonElement message, string path, TextOrigin origin)
    {
        if (!message.TryGetProperty("tool_calls", out var calls) || calls.ValueKind == JsonValueKind.Null)
            return null;
        path += ".tool_calls";
        if (calls.ValueKind != JsonValueKind.Array)
            throw Expected(calls, path, "an array");
        return calls.GetArrayLength() == 0 ? null : new([.. calls.EnumerateArray().Select((call, i) => (object?)ToolCall(call, $"{path}[{i}]", origin))]);
    }

    private DictValue ToolCall(JsonElement call, string path, TextOrigin origin)
    {
        if (call.ValueKind != JsonValueKind.Object)
            throw Expected(call, path, "an object");
        if (!call.TryGetProperty("function", out var function) || function.ValueKind != JsonValueKind.Object)
            throw Expected(function, $"{path}.function", "an object with 'name' and 'arguments'");
        if (!function.TryGetProperty("name", out var name) || name.ValueKind != JsonValueKind.String)
            throw Expected(name, $"{path}.function.name", "a string");
        var result = (DictValue)JsonValues.Of(call, origin, path)!;
        var inner = (DictValue)JsonValues.Of(function, origin, path)!;
        inner["arguments"] = Arguments(function, $"{path}.function.arguments", origin);
        result["function"] = inner;
        if (!call.TryGetProperty("type", out _))
            result["type"] = new MarkedText("function");
        return result;
    }

    private object? Arguments(JsonElement function, string path, TextOrigin origin)
    {
        bool there = function.TryGetProperty("arguments", out var arguments) && arguments.ValueKind != JsonValueKind.Null;
        string text = !there ? "" : arguments.ValueKind == JsonValueKind.String ? JsonValues.Text(arguments, path) : arguments.GetRawText();
        if (string.IsNullOrWhiteSpace(text))
            text = "{}";
        JsonElement parsed;
        try
        {
            parsed = JsonElement.Parse(text);
        }
        catch (JsonException e)
        {
            throw new ChatTemplateException($"{path} is '{JsonField.Shorten(text)}', expected a JSON object", e);
        }

        if (parsed.ValueKind != JsonValueKind.Object)
            throw new ChatTemplateException($"{path} is '{JsonField.Shorten(text)}', expected a JSON object");
        return traits.ArgumentsAsText ? new MarkedText(text, origin) : JsonValues.Of(parsed, origin, path);
    }

    private static ChatTemplateException Expected(JsonElement found, string path, string what) =>
        new($"{path} is {(found.ValueKind == JsonValueKind.Undefined ? "missing" : JsonField.Shorten(found.GetRawText()))}, expected {what}");
}
