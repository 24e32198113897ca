using System.Text.Json;
using System.Text.Json.Nodes;
using DualSparse.Models.Text.Templates;
using Microsoft.Extensions.AI;

namespace DualSparse.Engine.Chat;

/// <summary>Messages and tools as OpenAI's interface writes them, which is what chat templates are made for.</summary>
internal static class ChatPrompt
{
    private static readonly ChatRole s_developer = new("developer");

    /// <summary>Writes a conversation.</summary>
    /// <param name="messages">The messages.</param>
    /// <param name="options">Tools, instructions and variables of the template; null: none.</param>
    /// <param name="pictures">Receives the pictures in their order; null: the model reads text only.</param>
    /// <exception cref="NotSupportedException">A content or tool that a text model has no words for.</exception>
    /// <exception cref="ArgumentException">There is no message, or a role is unknown.</exception>
    public static ChatRequest Write(IEnumerable<ChatMessage> messages, ChatOptions? options, List<DataContent>? pictures = null)
    {
        var all = new JsonArray();
        if (!string.IsNullOrEmpty(options?.Instructions))
            all.Add(Message("system", options.Instructions));
        Dictionary<string, string> names = new(StringComparer.Ordinal);
        foreach (var message in messages)
        {
            foreach (var written in Write(message, names, pictures))
                all.Add(written);
        }

        if (all.Count == 0)
            throw new ArgumentException("there is no message to answer");
        return new ChatRequest { Messages = Element(all), ReadsPictures = pictures is not null, Tools = Tools(options) is { Count: > 0 } tools ? Element(tools) : null, Variables = Variables(options) };
    }

    // One; of a tool's results each is its own.
    private static IEnumerable<JsonObject> Write(ChatMessage message, Dictionary<string, string> names, List<DataContent>? pictures)
    {
        if (message.Role != ChatRole.System && message.Role != ChatRole.User && message.Role != ChatRole.Assistant && message.Role != ChatRole.Tool && message.Role != s_developer)
            throw new ArgumentException($"a message's role is '{message.Role.Value}', expected system, developer, user, assistant or tool");
        List<JsonObject> parts = [];
        string reasoning = "";
        var calls = new JsonArray();
        List<JsonObject> results = [];
        foreach (var content in message.Contents)
        {
            switch (content)
            {
                case TextContent text:
                    parts.Add(new JsonObject { ["type"] = "text", ["text"] = text.Text });
                    break;
                case DataContent picture when pictures is not null && picture.HasTopLevelMediaType("image"):
                    pictures.Add(picture);
                    parts.Add(new JsonObject { ["type"] = "image" });
                    break;
                case UriContent address when pictures is not null:
                    throw new NotSupportedException($"a message has the address '{address.Uri}', and nothing is fetched: give the picture itself as DataContent");
                case TextReasoningContent thought:
                    reasoning += thought.Text;
                    break;
                case FunctionCallContent call:
                    names[call.CallId] = call.Name;
                    calls.Add(Call(call));
                    break;
                case FunctionResultContent result:
                    results.Add(Result(result, names));
                    break;
                case UsageContent:
                    break;
                default:
                    throw new NotSupportedException($"a message has a {content.GetType().Name}, and this model reads text {(pictures is null ? "alone" : "and pictures")}: expected TextContent, {(pictures is null ? "" : "DataContent of an image, ")}TextReasoningContent, FunctionCallContent or FunctionResultContent");
            }
        }

        if (results.Count == 0 || parts.Count > 0 || calls.Count > 0)
        {
            var written = Message(message.Role.Value, parts is [{ Count: 2 } only] ? only["text"]!.DeepClone() : parts.Count > 0 ? new JsonArray([.. parts]) : calls.Count > 0 ? null : "");
            if (reasoning.Length > 0)
                written["reasoning_content"] = reasoning;
            if (calls.Count > 0)
                written["tool_calls"] = calls;
            if (message.AuthorName is { Length: > 0 } author)
                written["name"] = author;
            yield return written;
        }

        foreach (var result in results)
            yield return result;
    }

    private static JsonObject Message(string role, JsonNode? content) => new() { ["role"] = role, ["content"] = content };

    private static JsonObject Call(FunctionCallContent call) => new()
    {
        ["id"] = call.CallId,
        ["type"] = "function",
        ["function"] = new JsonObject { ["name"] = call.Name, ["arguments"] = JsonSerializer.Serialize(call.Arguments ?? new Dictionary<string, object?>(), Json<IDictionary<string, object?>>()) },
    };

    private static JsonObject Result(FunctionResultContent result, Dictionary<string, string> names)
    {
        string text = result.Result switch
        {
            null => result.Exception?.Message ?? "",
            string plain => plain,
            TextContent plain => plain.Text,
            var value => JsonSerializer.Serialize(value, AIJsonUtilities.DefaultOptions.GetTypeInfo(value.GetType())),
        };
        var written = Message("tool", text);
        written["tool_call_id"] = result.CallId;
        if (names.TryGetValue(result.CallId, out string? name))
            written["name"] = name;
        return written;
    }

    private static JsonArray? Tools(ChatOptions? options)
    {
        if (options?.ToolMode is NoneChatToolMode || options?.Tools is not { Count: > 0 } tools)
            return null;
        return [.. tools.Select(tool => tool is AIFunctionDeclaration function
            ? new JsonObject { ["type"] = "function", ["function"] = Function(function) }
            : throw new NotSupportedException($"the tool '{tool.Name}' is a {tool.GetType().Name}, and a model here can call functions alone: expected an AIFunction"))];
    }

    private static JsonObject Function(AIFunctionDeclaration function) => new()
    {
        ["name"] = function.Name,
        ["description"] = function.Description,
        ["parameters"] = JsonNode.Parse(function.JsonSchema.GetRawText()),
    };

    private static Dictionary<string, JsonElement>? Variables(ChatOptions? options)
    {
        Dictionary<string, JsonElement> variables = new(StringComparer.Ordinal);
        switch (options?.AdditionalProperties?.GetValueOrDefault("chat_template_kwargs"))
        {
            case null:
                break;
            case JsonElement { ValueKind: JsonValueKind.Object } element:
                foreach (var field in element.EnumerateObject())
                    variables[field.Name] = field.Value;
                break;
            case IEnumerable<KeyValuePair<string, object?>> pairs:
                foreach (var (name, value) in pairs)
                    variables[name] = JsonSerializer.SerializeToElement(value, AIJsonUtilities.DefaultOptions.GetTypeInfo(value?.GetType() ?? typeof(object)));
                break;
            case var other:
                throw new ArgumentException($"AdditionalProperties[\"chat_template_kwargs\"] is a {other.GetType().Name}, expected a dictionary of names and values");
        }

        if (options?.Reasoning?.Effort is { } effort)
            variables.TryAdd("reasoning_effort", Element(JsonValue.Create(effort switch { ReasoningEffort.None => "none", ReasoningEffort.Low => "low", ReasoningEffort.Medium => "medium", _ => "high" })));
        return variables.Count == 0 ? null : variables;
    }

    private static JsonElement Element(JsonNode node) => JsonSerializer.SerializeToElement(node, Json<JsonNode>());

    private static System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> Json<T>() => (System.Text.Json.Serialization.Metadata.JsonTypeInfo<T>)AIJsonUtilities.DefaultOptions.GetTypeInfo(typeof(T));
}
