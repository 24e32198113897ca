using System.Text.Json;
using DualSparse.Engine.Vision;
using DualSparse.Models.Pictures;
using DualSparse.Models.Text.Templates;

namespace DualSparse.Server;

/// <summary>A request's messages and tools, as the model's template writes them.</summary>
internal static class Conversation
{
    private static readonly string[] s_roles = ["system", "developer", "user", "assistant", "tool", "function"];

    /// <summary>Writes the prompt of a conversation.</summary>
    /// <exception cref="ApiException">A message isn't as it must be, there is no template, or the template refuses.</exception>
    public static RenderedChat Render(BodyField body, ServedModel served, ServerOptions options)
    {
        bool readsPictures = served.Model.Config.Vision is not null;
        Check(body["messages"], options, readsPictures);
        var request = new ChatRequest
        {
            Messages = body["messages"].Value.Element,
            Tools = Tools(body) is { } tools ? tools.Value.Element : null,
            AddGenerationPrompt = body["add_generation_prompt"].Flag(true),
            Variables = Variables(body),
            ReadsPictures = readsPictures,
        };
        var template = served.Template ?? throw Errors.Invalid(
            $"{(served.TemplateFault is { } fault ? $"the model's chat template can't be used ({fault})" : "the model has no chat template")}, and none is made up: start the server with --chat-template FILE, or use /v1/completions",
            "messages", "chat_template_missing");
        try
        {
            return template.Render(request);
        }
        catch (ChatTemplateException e)
        {
            throw Errors.Invalid($"the model's chat template: {e.Message}", "messages", "chat_template_error", e);
        }
    }

    /// <summary>The prompt of a conversation that was rendered, with its pictures.</summary>
    /// <exception cref="ApiException">A picture can't be read.</exception>
    public static PicturePrompt Prompt(BodyField body, RenderedChat chat, ServedModel served)
    {
        BodyField[] parts = [.. from message in body["messages"].Items() where message["content"].IsList from part in message["content"].Items() where MessagePreparation.IsPicture(part.Value.Element) select part];
        if (parts.Length > Limits.Pictures)
            throw Errors.Invalid($"the request: 'messages' has {parts.Length} pictures, expected at most {Limits.Pictures}", "messages");
        return PicturePrompt.Of(served.Model.Config, served.Model.Tokenizer.Encode(chat), [.. parts.Select(part => Picture(part, served))], served.Scheduler.ContextTokens);
    }

    // {"type": "image_url", "image_url": {"url": …}}, or the address itself, as some clients send it.
    private static PicturePatches Picture(BodyField part, ServedModel served)
    {
        var address = part["image_url"] is { IsNull: false } named ? named : part["image"];
        if (address.IsObject)
            address = address["url"];
        try
        {
            return served.Model.ReadPicture(DataUri.Read(address.AsText(), $"the request: '{address.Path}'"), $"the request: '{part.Path}'");
        }
        catch (PictureException e)
        {
            throw Errors.Invalid(e.Message, address.Path, "invalid_image", e);
        }
    }

    /// <summary>The tools that the model is told of; null: none.</summary>
    public static BodyField? Tools(BodyField body)
    {
        var tools = body["tools"];
        if (tools.IsNull)
            return null;
        var all = tools.Items();
        if (all.Count > Limits.Tools)
            throw Errors.Invalid($"the request: 'tools' has {all.Count} entries, expected at most {Limits.Tools}", "tools");
        foreach (var tool in all)
        {
            if (tool["type"].Text() is { } kind and not "function")
                throw Errors.Unsupported(tool["type"].Path, $"the request: '{tool["type"].Path}' is '{kind}', expected 'function': no other tools are known here");
            if (tool["function"]["name"].AsText().Length == 0)
                throw tool["function"]["name"].Expected("a name");
            if (tool["function"]["parameters"] is { IsNull: false, IsObject: false } parameters)
                throw parameters.Expected("an object");
        }

        return all.Count == 0 || body["tool_choice"].Text() is "none" ? null : tools;
    }

    private static void Check(BodyField messages, ServerOptions options, bool readsPictures)
    {
        if (!messages.IsList || messages.Count == 0)
            throw messages.Expected("an array of at least one message");
        if (messages.Count > options.MaxMessages)
            throw Errors.Invalid($"the request: 'messages' has {messages.Count} messages, expected at most {options.MaxMessages}", "messages");
        foreach (var message in messages.Items())
            CheckMessage(message, readsPictures);
    }

    private static void CheckMessage(BodyField message, bool readsPictures)
    {
        string role = message["role"].AsText();
        if (!s_roles.Contains(role))
            throw message["role"].Expected("'system', 'developer', 'user', 'assistant' or 'tool'");
        var content = message["content"];
        if (content.IsNull && role != "assistant")
            throw content.Expected("a string or an array of parts");
        if (content is { IsNull: false, IsText: false, IsList: false })
            throw content.Expected("a string, an array of parts or null");
        if (content.IsText)
            content.AsText();
        foreach (var part in content.IsList ? content.Items() : [])
        {
            string kind = part["type"].AsText();
            if (readsPictures && MessagePreparation.IsPicture(part.Value.Element))
                continue;
            if (kind is not ("text" or "refusal"))
                throw Errors.Unsupported(part.Path, $"the request: '{part.Path}' is a part of type '{Models.JsonField.Shorten(kind)}', and this model reads {(readsPictures ? "text and pictures: expected 'text' or 'image_url'" : "text alone")}");
            part[kind].AsText();
        }

        foreach (var call in message["tool_calls"] is { IsNull: false } calls ? calls.Items() : [])
        {
            call["function"]["name"].AsText();
            if (call["function"]["arguments"] is { IsNull: false, IsText: false, IsObject: false } arguments)
                throw arguments.Expected("JSON in a string");
        }
    }

    private static Dictionary<string, JsonElement>? Variables(BodyField body)
    {
        var given = body["chat_template_kwargs"];
        var effort = body["reasoning_effort"];
        if (given.IsNull && effort.IsNull)
            return null;
        Dictionary<string, JsonElement> variables = new(StringComparer.Ordinal);
        foreach (var (name, value) in given.IsNull ? [] : given.Fields())
            variables[name] = value.Value.Element;
        if (effort.Text() is not null)
            variables.TryAdd("reasoning_effort", effort.Value.Element);
        return variables;
    }
}
