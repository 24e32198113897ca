using System.Text.Json;
using DualSparse.Engine;
using DualSparse.Engine.Serving;
using DualSparse.Engine.Serving.Batching;
using DualSparse.Models.Text;
using DualSparse.Tests.Server;
using Microsoft.Extensions.AI;

namespace DualSparse.Tests.Engine.Chat;

/// <summary>The model whose answers are known, as a chat client.</summary>
public sealed class ScriptedClient : IDisposable
{
    private readonly ScriptedModel folder = new();

    public ScriptedClient() => Client = MoeModel.Load(folder.Path).AsChatClient();

    public IChatClient Client { get; }

    public void Dispose()
    {
        Client.Dispose();
        folder.Dispose();
    }
}

/// <summary><see cref="IChatClient"/> over a model.</summary>
public class ChatClientTests(ScriptedClient scripted) : IClassFixture<ScriptedClient>
{
    private readonly IChatClient client = scripted.Client;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    // Number 22 of docs/serving.md's complaints: what is asked goes through the model's template, whose last words the answer follows.
    public async Task C22_an_answer_follows_the_template_and_has_text_reason_and_usage()
    {
        var answer = await client.GetResponseAsync("Hi", cancellationToken: Cancel);
        Assert.Equal(ScriptedModel.Greeting, answer.Text);
        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
        var message = Assert.Single(answer.Messages);
        Assert.Equal(ChatRole.Assistant, message.Role);
        // Three words and what ends the text.
        Assert.Equal(4, answer.Usage!.OutputTokenCount);
        Assert.Equal(answer.Usage.InputTokenCount + 4, answer.Usage.TotalTokenCount);
        Assert.True(answer.Usage.InputTokenCount > 5);
        Assert.Equal(0.0, answer.AdditionalProperties!["dualsparse.drop"]);
        Assert.NotNull(answer.ModelId);
        Assert.NotNull(answer.CreatedAt);
    }

    [Fact]
    public async Task A_stream_is_the_same_answer_in_pieces()
    {
        List<ChatResponseUpdate> updates = [];
        await foreach (var update in client.GetStreamingResponseAsync("Hi", cancellationToken: Cancel))
            updates.Add(update);
        Assert.Equal(["Hello,", " dear", " world!"], updates.Select(u => u.Text).Where(t => t.Length > 0));
        Assert.All(updates, u => Assert.Equal((updates[0].ResponseId, ChatRole.Assistant), (u.ResponseId, u.Role)));
        Assert.Equal(ChatFinishReason.Stop, Assert.Single(updates, u => u.FinishReason is not null).FinishReason);
        Assert.Equal(4, updates[^1].Contents.OfType<UsageContent>().Single().Details.OutputTokenCount);
    }

    [Fact]
    public async Task A_function_is_called_and_its_result_answered()
    {
        var weather = AIFunctionFactory.Create((string city) => city == "Paris" ? "sunny" : "rain", "get_weather", "The weather in a city.");
        var options = new ChatOptions { Tools = [weather] };
        List<ChatMessage> messages = [new(ChatRole.User, "The weather in Paris?")];
        var first = await client.GetResponseAsync(messages, options, Cancel);
        Assert.Equal(ChatFinishReason.ToolCalls, first.FinishReason);
        var call = Assert.Single(first.Messages[0].Contents.OfType<FunctionCallContent>());
        Assert.Equal(("get_weather", "Paris"), (call.Name, ((JsonElement)call.Arguments!["city"]!).GetString()));
        Assert.Equal("", first.Text.Trim());

        // Not disposed: that would dispose the client that all tests share.
        var caller = new ChatClientBuilder(client).UseFunctionInvocation().Build();
        var answer = await caller.GetResponseAsync(messages, options, Cancel);
        Assert.Equal(ScriptedModel.Weather, answer.Text);
        Assert.Equal("sunny", answer.Messages.SelectMany(m => m.Contents).OfType<FunctionResultContent>().Single().Result!.ToString());

        // Told of no tools, it has none to call.
        Assert.Equal(ScriptedModel.Greeting, (await client.GetResponseAsync(messages, new ChatOptions { Tools = [weather], ToolMode = ChatToolMode.None }, Cancel)).Text);
    }

    [Fact]
    public async Task Tokens_stop_texts_and_the_context_end_it()
    {
        var limited = await client.GetResponseAsync(ScriptedModel.Forever, new ChatOptions { MaxOutputTokens = 5 }, Cancel);
        Assert.Equal((ChatFinishReason.Length, "one two one two one "), (limited.FinishReason!.Value, limited.Text));
        var stopped = await client.GetResponseAsync(ScriptedModel.Forever, new ChatOptions { StopSequences = ["two"] }, Cancel);
        Assert.Equal((ChatFinishReason.Stop, "one "), (stopped.FinishReason!.Value, stopped.Text));
        var e = await Assert.ThrowsAsync<ContextLengthException>(() => client.GetResponseAsync(new string('x', ScriptedModel.Context), cancellationToken: Cancel));
        Assert.Equal(ScriptedModel.Context, e.ContextTokens);
    }

    [Fact]
    public async Task Cancelling_ends_it_and_nothing_runs_on()
    {
        using var source = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var update in client.GetStreamingResponseAsync(ScriptedModel.Forever, cancellationToken: source.Token))
                await source.CancelAsync();
        });
        await foreach (var update in client.GetStreamingResponseAsync(ScriptedModel.Forever, cancellationToken: Cancel))
            break;
        var scheduler = client.GetService<Scheduler>()!;
        for (int wait = 0; scheduler.State.Running > 0 && wait < 200; wait++)
            await Task.Delay(10, Cancel);
        Assert.Equal(0, scheduler.State.Running);
    }

    [Fact]
    public void Services_are_found_by_type()
    {
        var model = client.GetService<MoeModel>();
        Assert.NotNull(model);
        Assert.Same(model!.Tokenizer, client.GetService<Tokenizer>());
        Assert.Same(client, client.GetService<IChatClient>());
        Assert.Equal("dualsparse", client.GetService<ChatClientMetadata>()!.ProviderName);
        Assert.Null(client.GetService(typeof(MoeModel), "key"));
        Assert.Null(client.GetService(typeof(string)));
    }

    [Fact]
    public async Task What_cannot_be_kept_is_refused_by_name()
    {
        await Refused("ResponseFormat", new ChatOptions { ResponseFormat = ChatResponseFormat.Json });
        await Refused("ToolMode", new ChatOptions { ToolMode = ChatToolMode.RequireAny });
        await Refused("ConversationId", new ChatOptions { ConversationId = "x" });
        await Refused("HostedWebSearchTool", new ChatOptions { Tools = [new HostedWebSearchTool()] });
        var picture = new ChatMessage(ChatRole.User, [new DataContent(new byte[1], "image/png")]);
        Assert.Contains("DataContent", (await Assert.ThrowsAsync<NotSupportedException>(() => client.GetResponseAsync([picture], cancellationToken: Cancel))).Message);
        await Assert.ThrowsAsync<ArgumentException>(() => client.GetResponseAsync(new List<ChatMessage>(), cancellationToken: Cancel));
        await Assert.ThrowsAsync<ArgumentException>(() => client.GetResponseAsync([new ChatMessage(new ChatRole("judge"), "x")], cancellationToken: Cancel));
        await Wrong("two ways", new() { ["drop"] = 0.1, ["max_kl"] = 0.1 });
        await Wrong("expected a number", new() { ["drop"] = "much" });
        await Wrong("RawRepresentationFactory", null, _ => "x");

        async Task Refused(string name, ChatOptions options) =>
            Assert.Contains(name, (await Assert.ThrowsAsync<NotSupportedException>(() => client.GetResponseAsync("Hi", options, Cancel))).Message);

        async Task Wrong(string text, AdditionalPropertiesDictionary? more, Func<IChatClient, object?>? raw = null) => Assert.Contains(
            text, (await Assert.ThrowsAsync<ArgumentException>(() => client.GetResponseAsync("Hi", new ChatOptions { AdditionalProperties = more, RawRepresentationFactory = raw }, Cancel))).Message);
    }

    [Fact]
    public async Task The_dial_is_turned_by_request_and_told_back()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(folder.File("plain.jinja"), "{% for m in messages %}{{ m.content }}{% endfor %}", Cancel);
        using var model = MoeModel.Load(TestPaths.Model, new EngineOptions { ChatTemplate = folder.File("plain.jinja") });
        using var scheduler = new Scheduler(model);
        using var chat = scheduler.AsChatClient();
        var greedy = new ChatOptions { Temperature = 0, MaxOutputTokens = 12 };
        var dense = await chat.GetResponseAsync("The city of", greedy, Cancel);
        Assert.Equal(0.0, dense.AdditionalProperties!["dualsparse.drop"]);
        using var session = model.NewSession();
        session.Append("The city of");
        Assert.Equal(session.Generate(new GenerationOptions { MaxTokens = 12 }, Cancel).ReadToEnd(), dense.Text);

        var options = greedy.Clone();
        options.AdditionalProperties = new() { ["drop"] = 0.25 };
        var dropped = await chat.GetResponseAsync("The city of", options, Cancel);
        double share = (double)dropped.AdditionalProperties!["dualsparse.drop"]!;
        Assert.InRange(share, 0.05, 0.5);
        var counts = dropped.Usage!.AdditionalCounts!;
        Assert.Equal(share, 1 - (double)counts["dualsparse.neurons_computed"] / counts["dualsparse.neurons"], 1e-12);
        options = greedy.Clone();
        options.RawRepresentationFactory = _ => new DropRequest { Rate = 0.25 };
        Assert.Equal(dropped.Text, (await chat.GetResponseAsync("The city of", options, Cancel)).Text);
        options = new ChatOptions { RawRepresentationFactory = _ => new GenerationOptions { MaxTokens = 12 } };
        Assert.Equal(dense.Text, (await chat.GetResponseAsync("The city of", options, Cancel)).Text);
    }

    [Fact]
    public async Task Without_a_template_it_says_what_to_do()
    {
        using var chat = MoeModel.Load(TestPaths.Model).AsChatClient();
        Assert.Contains("EngineOptions.ChatTemplate", (await Assert.ThrowsAsync<InvalidOperationException>(() => chat.GetResponseAsync("Hi", cancellationToken: Cancel))).Message);
    }
}
