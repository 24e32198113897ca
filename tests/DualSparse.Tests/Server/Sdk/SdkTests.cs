using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace DualSparse.Tests.Server.Sdk;

/// <summary>
/// Four clients in fixed versions on a server in a process of its own: OpenAI's for .NET under Microsoft.Extensions.AI, OpenAI's for
/// JavaScript, Vercel's AI SDK, LangChain. Each must see the same.
/// </summary>
public class SdkTests(SdkServers servers) : IClassFixture<SdkServers>
{
    /// <summary>The client that runs in this process.</summary>
    internal const string DotNet = "dotnet";

    // Freeing what a client has left takes a step of the model; the rest is for a machine that is busy with other tests.
    private static readonly TimeSpan s_freed = TimeSpan.FromSeconds(10);

    public static TheoryData<string> Sdks => [DotNet, "openai", "ai-sdk", "langchain"];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Sdks))]
    public async Task Chat(string sdk)
    {
        var fact = await Run(sdk, "chat", servers.Scripted, "Hi");
        Assert.Equal((ScriptedModel.Greeting, "stop", 4), (Text(fact, "text"), Text(fact, "finish"), fact.GetProperty("completionTokens").GetInt32()));
        Assert.True(fact.GetProperty("promptTokens").GetInt32() > 2);
    }

    [Theory]
    [MemberData(nameof(Sdks))]
    public async Task Stream(string sdk)
    {
        var plain = await Run(sdk, "chat", servers.Scripted, "Hi");
        var fact = await Run(sdk, "stream", servers.Scripted, "Hi");
        Assert.Equal((ScriptedModel.Greeting, "stop", 3), (Text(fact, "text"), Text(fact, "finish"), fact.GetProperty("pieces").GetInt32()));
        Assert.Equal((plain.GetProperty("promptTokens").GetInt32(), 4), (fact.GetProperty("promptTokens").GetInt32(), fact.GetProperty("completionTokens").GetInt32()));
    }

    [Theory]
    [MemberData(nameof(Sdks))]
    public async Task An_answer_that_is_cut_says_so(string sdk)
    {
        var fact = await Run(sdk, "stream", servers.Scripted, ScriptedModel.Forever, tokens: 4);
        Assert.Equal(("one two one two ", "length"), (Text(fact, "text"), Text(fact, "finish")));
    }

    [Theory]
    [MemberData(nameof(Sdks))]
    public async Task Tools(string sdk)
    {
        var fact = await Run(sdk, "tool", servers.Scripted, "The weather in Paris?");
        Assert.Equal(("get_weather", "Paris"), (Text(fact, "name"), Text(fact.GetProperty("arguments"), "city")));
        // The AI SDK has a word of its own.
        Assert.Equal("tool_calls", Text(fact, "finish").Replace('-', '_'));
        Assert.Equal((ScriptedModel.Weather, "stop"), (Text(fact, "answer"), Text(fact, "then")));
    }

    [Theory]
    [MemberData(nameof(Sdks))]
    public async Task A_prompt_that_does_not_fit_is_400_with_both_counts(string sdk)
    {
        var fact = await Run(sdk, "refuse", servers.Scripted, new string('x', ScriptedModel.Context));
        Assert.Equal((400, "context_length_exceeded", "invalid_request_error"), (Status(fact), Text(fact, "code"), Text(fact, "type")));
        Assert.Contains($"{ScriptedModel.Context}", Text(fact, "message"));
    }

    [Theory]
    [MemberData(nameof(Sdks))]
    public async Task A_wrong_key_is_401(string sdk)
    {
        var fact = await servers.Client(sdk).RunAsync(new SdkCheck("refuse", servers.Scripted.Base, "Hi") { Key = "sk-wrong" }, Never, Cancel);
        Assert.Equal((401, "authentication_error"), (Status(fact), Text(fact, "type")));
    }

    [Theory]
    [MemberData(nameof(Sdks))]
    public async Task A_full_queue_is_429_and_says_when_to_come_back(string sdk)
    {
        // One runs and one waits, until their callers leave.
        var body = new JsonObject
        {
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = ScriptedModel.Forever }),
            ["max_tokens"] = ScriptedModel.Context,
            ["stream"] = true,
        };
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var client = servers.Client(sdk);
        List<Task> others = [];
        try
        {
            await Next("running");
            await Next("waiting");
            var fact = await client.RunAsync(new SdkCheck("refuse", servers.Narrow.Base, "Hi"), Never, Cancel);
            Assert.Equal((429, "queue_full"), (Status(fact), Text(fact, "code")));
            Assert.True(int.Parse(Text(fact, "retryAfter")) >= 1);
        }
        finally
        {
            await leave.CancelAsync();
            await Task.WhenAll(others.Select(o => o.ContinueWith(_ => { }, TaskScheduler.Default)));
        }

        Assert.True(await servers.Narrow.IdleAsync(s_freed, Cancel));

        // The next one comes when the one before it has its place.
        async Task Next(string place)
        {
            others.Add(Occupy());
            while (JsonDocument.Parse(await servers.Narrow.Http.GetStringAsync($"{servers.Narrow.Url}/health", Cancel)).RootElement.GetProperty(place).GetInt32() == 0)
            {
                Assert.All(others, other => Assert.False(other.IsCompleted));
                await Task.Delay(20, Cancel);
            }
        }

        async Task Occupy()
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, $"{servers.Narrow.Base}/chat/completions") { Content = new StringContent(body.ToJsonString(), null, "application/json") };
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", SdkServers.Key);
            using var answer = await servers.Narrow.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, leave.Token);
            Assert.True(answer.IsSuccessStatusCode, answer.ToString());
            await answer.Content.CopyToAsync(System.IO.Stream.Null, leave.Token);
        }
    }

    [Theory]
    [MemberData(nameof(Sdks))]
    public async Task An_answer_that_breaks_off_is_an_error_for_each(string sdk)
    {
        var client = servers.Client(sdk);
        using var server = servers.StartAnother("--drain-timeout", "0.3");
        bool asked = false;
        var fact = await client.RunAsync(new SdkCheck("broken", server.Base, ScriptedModel.Forever) { MaxTokens = ScriptedModel.Context }, End, Cancel);
        Assert.True(asked);
        Assert.True(fact.GetProperty("threw").GetBoolean(), fact.GetRawText());
        Assert.True(fact.GetProperty("text").GetInt32() > 0);
        Assert.Equal(0, server.WaitForEnd(TimeSpan.FromSeconds(20)));

        Task End()
        {
            asked = true;
            server.Signal("TERM");
            return Task.CompletedTask;
        }
    }

    [Theory]
    [MemberData(nameof(Sdks))]
    public async Task Whoever_leaves_frees_what_he_had(string sdk)
    {
        var fact = await Run(sdk, "cancel", servers.Scripted, ScriptedModel.Forever, tokens: ScriptedModel.Context);
        Assert.True(fact.GetProperty("pieces").GetInt32() >= 3, fact.GetRawText());
        Assert.True(await servers.Scripted.IdleAsync(s_freed, Cancel));
    }

    [Theory]
    [MemberData(nameof(Sdks))]
    public async Task The_dial(string sdk)
    {
        var fact = await Run(sdk, "dial", servers.Mini, "The city of", tokens: 16, drop: 0.25);
        double drop = fact.GetProperty("dualsparse").GetProperty("drop").GetDouble();
        Assert.InRange(drop, 0.05, 0.5);
        fact = await Run(sdk, "dial", servers.Mini, "The city of", tokens: 16, drop: 0);
        Assert.Equal(0, fact.GetProperty("dualsparse").GetProperty("drop").GetDouble());
    }

    [Theory]
    [InlineData(DotNet)]
    [InlineData("openai")]
    public async Task Models_are_listed_with_what_strict_clients_want(string sdk)
    {
        var fact = await Run(sdk, "models", servers.Scripted, "");
        Assert.Contains(SdkServers.Model, fact.GetProperty("ids").EnumerateArray().Select(id => id.GetString()));
        Assert.True(fact.GetProperty("created").GetInt64() > 1_700_000_000);
        if (fact.TryGetProperty("context", out var context))
            Assert.Equal(ScriptedModel.Context, context.GetInt32());
    }

    private async Task<JsonElement> Run(string sdk, string check, RunningServer server, string prompt, int tokens = 64, double drop = 0)
    {
        var fact = await servers.Client(sdk).RunAsync(new SdkCheck(check, server.Base, prompt) { MaxTokens = tokens, Drop = drop }, Never, Cancel);
        Assert.False(fact.TryGetProperty("threw", out _), $"{fact.GetRawText()}; {server.Said}");
        return fact;
    }

    private static Task Never() => throw new InvalidOperationException("nothing was to break off");

    private static string Text(JsonElement of, string name) => of.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : $"no {name} in {of.GetRawText()}";

    private static int Status(JsonElement of) => of.GetProperty("status").GetInt32();
}
