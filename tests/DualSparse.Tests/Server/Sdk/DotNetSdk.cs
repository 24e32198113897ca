using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;
using OpenAI;
using OpenAI.Chat;
using ChatMessage = Microsoft.Extensions.AI.ChatMessage;

#pragma warning disable SCME0001 // A request's own fields are set by Patch, which is to be evaluated still.
namespace DualSparse.Tests.Server.Sdk;

/// <summary>OpenAI's package for .NET under Microsoft.Extensions.AI.</summary>
internal sealed class DotNetSdk : ISdk
{
    // The first text of an endless answer is there long before.
    private const int Pieces = 3;

    public async Task<JsonElement> RunAsync(SdkCheck check, Func<Task> started, CancellationToken cancel)
    {
        using var client = Client(check).GetChatClient(check.Model).AsIChatClient();
        var options = new ChatOptions { MaxOutputTokens = check.MaxTokens };
        return JsonSerializer.SerializeToElement(check.Check switch
        {
            "chat" => await Chat(client, check, options, cancel),
            "stream" => await Stream(client, check, options, cancel),
            "tool" => await Tool(client, check, options, cancel),
            "refuse" => await Refuse(client, check, options, cancel),
            "broken" => await Broken(client, check, options, started, cancel),
            "cancel" => await Leave(client, check, options, cancel),
            "dial" => await Dial(client, check, options, cancel),
            "models" => await Models(check, cancel),
            _ => throw new ArgumentException(check.Check),
        });
    }

    // Of a stream that nobody reads to its end HttpClient reads on for two seconds, to keep the connection: the server couldn't know sooner.
    private static readonly HttpClient s_http = new(new SocketsHttpHandler { ResponseDrainTimeout = TimeSpan.Zero, UseProxy = false });

    private static OpenAIClient Client(SdkCheck check) => new(new ApiKeyCredential(check.Key), new OpenAIClientOptions
    {
        Endpoint = new Uri(check.Url),
        RetryPolicy = new ClientRetryPolicy(0),
        NetworkTimeout = TimeSpan.FromSeconds(60),
        Transport = new HttpClientPipelineTransport(s_http),
    });

    private static async Task<JsonObject> Models(SdkCheck check, CancellationToken cancel)
    {
        var models = Client(check).GetOpenAIModelClient();
        var all = (await models.GetModelsAsync(cancel)).Value;
        var one = (await models.GetModelAsync(all[0].Id, cancel)).Value;
        return new JsonObject { ["ids"] = new JsonArray([.. all.Select(m => (JsonNode)m.Id)]), ["created"] = one.CreatedAt.ToUnixTimeSeconds() };
    }

    private static async Task<JsonObject> Chat(IChatClient client, SdkCheck check, ChatOptions options, CancellationToken cancel)
    {
        var answer = await client.GetResponseAsync(check.Prompt, options, cancel);
        return Counted(new JsonObject { ["text"] = answer.Text, ["finish"] = answer.FinishReason?.Value }, answer.Usage);
    }

    private static async Task<JsonObject> Stream(IChatClient client, SdkCheck check, ChatOptions options, CancellationToken cancel)
    {
        List<ChatResponseUpdate> updates = [];
        await foreach (var update in client.GetStreamingResponseAsync(check.Prompt, options, cancel))
            updates.Add(update);
        var whole = updates.ToChatResponse();
        return Counted(new JsonObject { ["text"] = whole.Text, ["finish"] = whole.FinishReason?.Value, ["pieces"] = updates.Count(u => u.Text.Length > 0) }, whole.Usage);
    }

    private static async Task<JsonObject> Tool(IChatClient client, SdkCheck check, ChatOptions options, CancellationToken cancel)
    {
        options.Tools = [AIFunctionFactory.Create((string city) => "sunny", "get_weather", "The weather in a city.")];
        List<ChatMessage> messages = [new(ChatRole.User, check.Prompt)];
        var first = await client.GetStreamingResponseAsync(messages, options, cancel).ToChatResponseAsync(cancel);
        var call = first.Messages.SelectMany(m => m.Contents).OfType<FunctionCallContent>().Single();
        messages.AddMessages(first);
        messages.Add(new ChatMessage(ChatRole.Tool, [new FunctionResultContent(call.CallId, "sunny")]));
        var answer = await client.GetResponseAsync(messages, options, cancel);
        return new JsonObject
        {
            ["name"] = call.Name,
            ["arguments"] = JsonSerializer.SerializeToNode(call.Arguments),
            ["finish"] = first.FinishReason?.Value,
            ["answer"] = answer.Text,
            ["then"] = answer.FinishReason?.Value,
        };
    }

    private static async Task<JsonObject> Refuse(IChatClient client, SdkCheck check, ChatOptions options, CancellationToken cancel)
    {
        try
        {
            await client.GetResponseAsync(check.Prompt, options, cancel);
            return new JsonObject { ["status"] = 200 };
        }
        catch (ClientResultException e)
        {
            var response = e.GetRawResponse()!;
            var error = JsonNode.Parse(response.Content.ToString())!["error"]!;
            response.Headers.TryGetValue("Retry-After", out string? after);
            return new JsonObject { ["status"] = e.Status, ["code"] = error["code"]?.DeepClone(), ["type"] = error["type"]?.DeepClone(), ["message"] = e.Message, ["retryAfter"] = after };
        }
    }

    private static async Task<JsonObject> Broken(IChatClient client, SdkCheck check, ChatOptions options, Func<Task> started, CancellationToken cancel)
    {
        int text = 0;
        try
        {
            await foreach (var update in client.GetStreamingResponseAsync(check.Prompt, options, cancel))
            {
                if (text == 0 && update.Text.Length > 0)
                    await started();
                text += update.Text.Length;
            }
        }
        catch (Exception e) when (e is ClientResultException or HttpRequestException or IOException)
        {
            return new JsonObject { ["threw"] = true, ["message"] = e.Message, ["text"] = text };
        }

        return new JsonObject { ["threw"] = false, ["text"] = text };
    }

    private static async Task<JsonObject> Leave(IChatClient client, SdkCheck check, ChatOptions options, CancellationToken cancel)
    {
        int pieces = 0;
        await foreach (var update in client.GetStreamingResponseAsync(check.Prompt, options, cancel))
        {
            pieces += update.Text.Length > 0 ? 1 : 0;
            if (pieces == Pieces)
                break;
        }

        return new JsonObject { ["pieces"] = pieces };
    }

    private static async Task<JsonObject> Dial(IChatClient client, SdkCheck check, ChatOptions options, CancellationToken cancel)
    {
        options.RawRepresentationFactory = _ =>
        {
            var raw = new ChatCompletionOptions();
            raw.Patch.Set("$.drop"u8, check.Drop);
            return raw;
        };
        var answer = await client.GetResponseAsync(check.Prompt, options, cancel);
        var usage = ModelReaderWriter.Write(((ChatCompletion)answer.RawRepresentation!).Usage);
        return new JsonObject { ["text"] = answer.Text, ["dualsparse"] = JsonNode.Parse(usage.ToString())!["dualsparse"]?.DeepClone() };
    }

    private static JsonObject Counted(JsonObject fact, UsageDetails? usage)
    {
        (fact["promptTokens"], fact["completionTokens"]) = (usage?.InputTokenCount, usage?.OutputTokenCount);
        return fact;
    }
}
