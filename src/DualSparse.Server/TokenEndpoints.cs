using System.Text.Json.Nodes;
using DualSparse.Models;
using DualSparse.Server.Protocol;

namespace DualSparse.Server;

/// <summary>Text, ids and templates without a model's pass: what harnesses ask, and what a report of a wrong prompt needs.</summary>
internal static class TokenEndpoints
{
    // The largest in use are a few MB.
    private const long MaxConfigBytes = 1L << 26;

    /// <summary><c>POST /tokenize</c>: of a text (<c>prompt</c>, or <c>content</c> as another server calls it) or a conversation (<c>messages</c>).</summary>
    public static async Task TokenizeAsync(Call call)
    {
        var (served, body) = await BodyAsync(call).ConfigureAwait(false);
        var tokenizer = served.Model.Tokenizer;
        var text = body["prompt"].IsNull ? body["content"] : body["prompt"];
        int[] ids = body["messages"].IsNull
            ? tokenizer.Encode((text.IsNull ? body["prompt"] : text).AsText(), body["add_special_tokens"].Flag(true))
            : tokenizer.Encode(Conversation.Render(body, served, call.Options));
        await Json.WriteAsync(call.Http, new Tokenized(ids, ids.Length, served.Scheduler.ContextTokens), ServerJson.Own.Tokenized).ConfigureAwait(false);
    }

    /// <summary><c>POST /detokenize</c>.</summary>
    public static async Task DetokenizeAsync(Call call)
    {
        var (served, body) = await BodyAsync(call).ConfigureAwait(false);
        int[] ids = body["tokens"] is { IsList: true, IsEmpty: true } ? [] : Prompts.Ids(body["tokens"]);
        await Json.WriteAsync(call.Http, new PromptText(served.Model.Tokenizer.Decode(ids)), ServerJson.Own.PromptText).ConfigureAwait(false);
    }

    /// <summary><c>POST /apply-template</c>: the text of a conversation.</summary>
    public static async Task TemplateAsync(Call call)
    {
        var (served, body) = await BodyAsync(call).ConfigureAwait(false);
        await Json.WriteAsync(call.Http, new PromptText(Conversation.Render(body, served, call.Options).Text), ServerJson.Own.PromptText).ConfigureAwait(false);
    }

    /// <summary><c>GET /tokenizer_info</c>: tokenizer_config.json with the chat template that is used, wherever it comes from.</summary>
    public static async Task InfoAsync(Call call)
    {
        var served = call.Host.Serving;
        string folder = ModelPath.Follow(served.Model.Transformer.Folder);
        var config = ModelFile.TryRead(Path.Combine(folder, "tokenizer_config.json"), MaxConfigBytes) is { } json ? JsonNode.Parse(json)!.AsObject() : [];
        if (served.Template is { } template)
            config["chat_template"] = template.Source;
        byte[] body = System.Text.Encoding.UTF8.GetBytes(config.ToJsonString());
        call.Http.Response.ContentType = "application/json; charset=utf-8";
        await call.Http.Response.Body.WriteAsync(body, call.Cancel).ConfigureAwait(false);
    }

    private static async Task<(ServedModel Served, BodyField Body)> BodyAsync(Call call)
    {
        var served = call.Host.Serving;
        return (served, await RequestBody.ReadAsync(call.Http, call.Options.MaxBodyBytes).ConfigureAwait(false));
    }
}
