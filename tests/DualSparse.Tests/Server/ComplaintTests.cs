using System.Net;
using System.Text.Json;
using DualSparse.Engine.Serving.Batching;
using DualSparse.Evaluation.Tasks;

namespace DualSparse.Tests.Server;

/// <summary>What people complain of about other servers, a test each, with the number under which docs/serving.md lists it.</summary>
[Collection("server")]
public class ComplaintTests(ServedMini mini)
{
    private const string Chat = "/v1/chat/completions", Text = "/v1/completions";

    private static readonly string s_long = string.Concat(Enumerable.Repeat("the sea ", 600));

    [Theory]
    [InlineData(Chat, """{"messages":[{"role":"user","content":"LONG"}],"stream":false}""", "messages")]
    [InlineData(Chat, """{"messages":[{"role":"user","content":"LONG"}],"stream":true}""", "messages")]
    [InlineData(Text, """{"prompt":"LONG","stream":false}""", "prompt")]
    [InlineData(Text, """{"prompt":["a","LONG"],"stream":true}""", "prompt")]
    [InlineData(Text, """{"prompt":[IDS]}""", "prompt")]
    public async Task C1_a_prompt_that_is_too_long_is_refused_with_both_counts(string path, string body, string param)
    {
        string ids = string.Join(',', mini.Model.Tokenizer.Encode(s_long));
        var error = await mini.Server.ErrorAsync(400, path, body.Replace("LONG", s_long, StringComparison.Ordinal).Replace("IDS", ids, StringComparison.Ordinal));
        Assert.Equal(("context_length_exceeded", param), (error.GetProperty("code").GetString(), error.GetProperty("param").GetString()));
        Assert.Equal(512, error.GetProperty("n_ctx").GetInt32());
        Assert.InRange(error.GetProperty("n_prompt_tokens").GetInt32(), 513, 10_000);
        Assert.Contains("512", error.GetProperty("message").GetString());
    }

    [Fact]
    public async Task C2_it_is_refused_before_it_waits_and_nothing_is_cut()
    {
        await using var server = await TestServer.StartAsync(mini.Model, options => options.Scheduler = new SchedulerOptions { MaxRunning = 1 });
        using var busy = await server.BusyAsync();
        await server.ErrorAsync(400, Text, $$"""{"prompt":"{{s_long}}"}""");
        // The one before it is still at work.
        Assert.Equal(1, server.Scheduler.State.Running);
        Assert.Equal("truncation", (await server.ErrorAsync(400, Text, """{"prompt":"a","truncation":"auto"}""")).GetProperty("param").GetString());
    }

    [Fact]
    public async Task C3_the_context_is_each_requests_however_many_run()
    {
        Assert.Equal(512, (await mini.Server.GetAsync("/v1/models/mini")).GetProperty("context_length").GetInt32());
        string prompt = string.Concat(Enumerable.Repeat("the sea ", 240));
        var answers = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => mini.Server.AnswerAsync(Text, $$"""{"prompt":"{{prompt}}","max_tokens":4,"ignore_eos":true}""")));
        Assert.All(answers, answer => Assert.Equal(4, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32()));
        Assert.All(answers, answer => Assert.InRange(answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), 400, 511));
    }

    [Fact]
    public async Task C4_too_few_pages_for_all_are_no_end_for_any()
    {
        // Eight pages hold two contexts.
        long page = mini.Model.Transformer.NewPool(1).PageBytes;
        await using var server = await TestServer.StartAsync(mini.Model, options => options.Scheduler = new SchedulerOptions { CacheBytes = 8 * page });
        string Asked(int i) => $$"""{"prompt":"Once upon a time {{i}}","max_tokens":300,"temperature":0,"ignore_eos":true}""";
        var together = await Task.WhenAll(Enumerable.Range(0, 4).Select(i => server.AnswerAsync(Text, Asked(i))));
        for (int i = 0; i < together.Length; i++)
        {
            Assert.Equal(300, together[i].GetProperty("usage").GetProperty("completion_tokens").GetInt32());
            Assert.Equal(Written(await mini.Server.AnswerAsync(Text, Asked(i))), Written(together[i]));
        }
    }

    [Fact]
    public async Task C5_a_long_prompt_does_not_stop_the_others_tokens()
    {
        string prompt = string.Concat(Enumerable.Repeat("of the city ", 160));
        await using var server = await TestServer.StartAsync(mini.Model);
        using var first = await server.PostAsync(Text, """{"prompt":"Once upon","max_tokens":400,"ignore_eos":true,"stream":true}""");
        int before = 0;
        await foreach (string _ in TestServer.ReadAsync(first))
        {
            // Once it writes, a long prompt comes: tokens go on while that is computed.
            if (++before == 3)
                break;
        }

        long generated = server.Scheduler.State.GeneratedTokens;
        using var second = await server.PostAsync(Text, $$"""{"prompt":"{{prompt}}","max_tokens":1,"stream":true}""");
        await foreach (string _ in TestServer.ReadAsync(second))
            break;
        Assert.InRange(server.Scheduler.State.GeneratedTokens - generated, 2, 1000);
    }

    [Fact]
    public async Task C6_a_full_queue_is_429_with_the_time_to_wait()
    {
        await using var server = await TestServer.StartAsync(mini.Model, options => options.Scheduler = new SchedulerOptions { MaxRunning = 1, MaxQueued = 1 });
        using var stop = new CancellationTokenSource();
        using var busy = await server.BusyAsync();
        var waiting = server.AnswerAsync(Text, """{"prompt":"a","max_tokens":1}""");
        await TestServer.UntilAsync(() => server.Scheduler.State.Waiting == 1);
        using var refused = await server.PostAsync(Text, """{"prompt":"a","max_tokens":1,"stream":true}""");
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
        Assert.Equal("queue_full", TestServer.Error(await refused.Content.ReadAsStringAsync()).GetProperty("code").GetString());
        busy.Dispose();
        await waiting;
    }

    [Fact]
    public async Task C7_every_request_ends_whatever_comes_beside_it()
    {
        await using var server = await TestServer.StartAsync(mini.Model, options => options.Scheduler = new SchedulerOptions { MaxRunning = 4, MaxQueued = 4 });
        string[] bodies =
        [
            """{"prompt":"a","max_tokens":40}""", $$"""{"prompt":"{{s_long}}"}""", """{"prompt":""", """{"prompt":"a","n":4,"max_tokens":20}""",
            """{"prompt":"b","max_tokens":40,"stream":true}""", """{"prompt":"c","drop":0.25,"max_tokens":20}""", """{"prompt":[1,2,3],"echo":true,"logprobs":2,"max_tokens":3}""", "[]",
        ];
        var codes = await Task.WhenAll(Enumerable.Range(0, 40).Select(async i =>
        {
            using var response = await server.PostAsync(Text, bodies[i % bodies.Length]);
            await response.Content.ReadAsStringAsync();
            return (int)response.StatusCode;
        }));
        Assert.All(codes, code => Assert.Contains(code, (int[])[200, 400, 429]));
        Assert.Contains(200, codes);
        Assert.Equal("ok", (await server.GetAsync("/health")).GetProperty("status").GetString());
        await Free(server);
    }

    [Fact]
    public async Task C8_whoever_leaves_gives_his_pages_back_at_any_phase()
    {
        await using var server = await TestServer.StartAsync(mini.Model, options => options.Scheduler = new SchedulerOptions { MaxRunning = 1 });
        foreach (bool stream in (bool[])[true, false])
        {
            using var stop = new CancellationTokenSource();
            string body = $$"""{"prompt":"Once upon","max_tokens":500,"ignore_eos":true,"stream":{{(stream ? "true" : "false")}}}""";
            var running = server.PostAsync(Text, body, stop.Token);
            await TestServer.UntilAsync(() => server.Scheduler.State.Running == 1);
            var waiting = server.PostAsync(Text, body, stop.Token);
            await TestServer.UntilAsync(() => server.Scheduler.State.Waiting == 1);
            if (stream)
                (await running).Dispose();
            await stop.CancelAsync();
            await Free(server);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        }
    }

    [Fact]
    public async Task C9_greedy_text_is_the_same_alone_and_among_others_dropped_or_not()
    {
        string Asked(int i) => $$"""{"prompt":"The number {{i}} of","max_tokens":12,"temperature":0,"drop":{{(i % 3 == 0 ? "0.25" : "0")}}}""";
        string[] alone = new string[24];
        for (int i = 0; i < alone.Length; i++)
            alone[i] = Written(await mini.Server.AnswerAsync(Text, Asked(i)));
        await using var server = await TestServer.StartAsync(mini.Model);
        var together = await Task.WhenAll(alone.Select((_, i) => server.AnswerAsync(Text, Asked(i))));
        Assert.Equal(alone, together.Select(Written));
    }

    // The .NET client throws at any other word.
    [Theory]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"max_tokens":2,"stream":true}""", "length")]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"stop":[" ","e","a","\n"],"ignore_eos":true,"stream":true}""", "stop")]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"logit_bias":{"EOS":100},"stream":true}""", "stop")]
    public async Task C10_why_an_answer_ended_is_one_of_the_known_words(string body, string expected)
    {
        body = body.Replace("EOS", $"{mini.Model.Config.Generation.EosIds[0]}", StringComparison.Ordinal);
        var chunks = await mini.Server.ChunksAsync(Chat, body);
        Assert.Equal(expected, Assert.Single(chunks.Select(c => c.GetProperty("choices")[0].GetProperty("finish_reason").GetString()).OfType<string>()));
        Assert.Equal("{}", chunks[^1].GetProperty("choices")[0].GetProperty("delta").GetRawText());
        var whole = await mini.Server.AnswerAsync(Chat, body.Replace("\"stream\":true", "\"stream\":false", StringComparison.Ordinal));
        Assert.Equal(expected, whole.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
    }

    [Theory]
    [InlineData(Chat, """{"messages":[{"role":"user","content":"a"}],"max_tokens":2,"stream":true""")]
    [InlineData(Text, """{"prompt":"a","max_tokens":2,"stream":true""")]
    public async Task C12_what_it_took_is_told_where_it_was_asked_for_and_there_alone(string path, string body)
    {
        var without = await mini.Server.ChunksAsync(path, body + "}");
        Assert.DoesNotContain(without, chunk => chunk.TryGetProperty("usage", out _));
        Assert.All(without, chunk => Assert.Equal(1, chunk.GetProperty("choices").GetArrayLength()));
        var with = await mini.Server.ChunksAsync(path, body + ""","stream_options":{"include_usage":true}}""");
        var last = Assert.Single(with, chunk => chunk.TryGetProperty("usage", out _));
        Assert.Equal((0, 2), (last.GetProperty("choices").GetArrayLength(), last.GetProperty("usage").GetProperty("completion_tokens").GetInt32()));
        Assert.Equal(last.GetRawText(), with[^1].GetRawText());
    }

    [Fact]
    public async Task C14_formats_that_can_be_had_are_and_others_are_refused_by_name()
    {
        const string Asked = """ "messages":[{"role":"user","content":"a"}],"max_tokens":2""";
        await mini.Server.AnswerAsync(Chat, $"{{{Asked},\"response_format\":{{\"type\":\"text\"}}}}");
        await mini.Server.AnswerAsync(Chat, $"{{{Asked},\"response_format\":null}}");
        foreach (string format in (string[])["""{"type":"json_object"}""", """{"type":"json_schema","json_schema":{"name":"a","schema":{}}}"""])
        {
            var error = await mini.Server.ErrorAsync(400, Chat, $"{{{Asked},\"response_format\":{format}}}");
            Assert.Equal(("unsupported_parameter", "response_format"), (error.GetProperty("code").GetString(), error.GetProperty("param").GetString()));
        }

        foreach (string parameters in (string[])["", ",\"parameters\":{}", ",\"parameters\":null", ",\"parameters\":{\"type\":\"object\",\"properties\":{}}"])
            await mini.Server.AnswerAsync(Chat, $"{{{Asked},\"tools\":[{{\"type\":\"function\",\"function\":{{\"name\":\"now\"{parameters}}}}}]}}");
        await mini.Server.AnswerAsync(Chat, $"{{{Asked},\"tools\":[]}}");
    }

    [Fact]
    public async Task C15_a_template_that_refuses_is_400_with_its_words_and_none_is_made_up()
    {
        var error = await mini.Server.ErrorAsync(400, Chat, """{"messages":[{"role":"user","content":"refuse"}]}""");
        Assert.Equal("chat_template_error", error.GetProperty("code").GetString());
        Assert.Contains("this conversation is refused", error.GetProperty("message").GetString());
        using var bare = DualSparse.Engine.MoeModel.Load(TestPaths.Model);
        await using var server = await TestServer.StartAsync(bare);
        error = await server.ErrorAsync(400, Chat, """{"messages":[{"role":"user","content":"a"}]}""");
        Assert.Equal("chat_template_missing", error.GetProperty("code").GetString());
        Assert.Contains("--chat-template", error.GetProperty("message").GetString());
        await server.AnswerAsync(Text, """{"prompt":"a","max_tokens":1}""");
    }

    [Fact]
    public async Task C16_the_second_turn_of_a_conversation_computes_what_is_new()
    {
        string story = string.Concat(Enumerable.Repeat("the king of the city ", 40));
        string first = $$"""{"role":"user","content":"{{story}}"}""";
        var turn = await mini.Server.AnswerAsync(Chat, $$"""{"messages":[{{first}}],"max_tokens":8,"temperature":0,"cache_salt":"c16"}""");
        string said = turn.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
        var usage = (await mini.Server.AnswerAsync(Chat, $$"""
            {"messages":[{{first}},{"role":"assistant","content":{{JsonSerializer.Serialize(said.TrimStart())}}},{"role":"user","content":"Why?"}],"max_tokens":2,"cache_salt":"c16"}
            """)).GetProperty("usage");
        int cached = usage.GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32();
        Assert.InRange(cached, 0.95 * turn.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), usage.GetProperty("prompt_tokens").GetInt32());
        // Another's salt shares nothing.
        var other = await mini.Server.AnswerAsync(Chat, $$"""{"messages":[{{first}}],"max_tokens":1,"cache_salt":"another"}""");
        Assert.Equal(0, other.GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32());
    }

    // What lm-eval sends and how it reads the answer.
    [Fact]
    public async Task C17_scores_over_http_are_those_in_process()
    {
        (string Context, string Continuation)[] items = [("The king of the", " city was"), ("Once upon a time", ", there was"), ("She said that", " the sea")];
        var encoded = items.Select(item => (Context: mini.Model.Tokenizer.Encode(item.Context), All: mini.Model.Tokenizer.Encode(item.Context + item.Continuation))).ToArray();
        string prompts = string.Join(',', encoded.Select(e => $"[{string.Join(',', e.All)}]"));
        var answer = await mini.Server.AnswerAsync(Text, $$"""{"model":"mini","prompt":[{{prompts}}],"max_tokens":1,"logprobs":1,"echo":true,"temperature":0,"seed":1234}""");
        CandidateScore[][] scores;
        lock (mini.Model.ForwardLock)
            scores = [.. new LikelihoodScorer([new TaskContender(mini.Model.Transformer)]).Score(encoded.Select(e => new EncodedItem([new EncodedCandidate(e.All, e.Context.Length, 0)])), _ => { }, default)[0].Select(item => item.Scores)];
        var choices = answer.GetProperty("choices").EnumerateArray().OrderBy(c => c.GetProperty("index").GetInt32()).ToArray();
        for (int i = 0; i < items.Length; i++)
        {
            var own = choices[i].GetProperty("logprobs").GetProperty("token_logprobs").EnumerateArray().ToArray()[encoded[i].Context.Length..^1];
            var top = choices[i].GetProperty("logprobs").GetProperty("top_logprobs").EnumerateArray().ToArray()[encoded[i].Context.Length..^1];
            bool greedy = own.Zip(top).All(pair => pair.First.GetSingle() == pair.Second.EnumerateObject().Max(p => p.Value.GetSingle()));
            Assert.Equal(encoded[i].All.Length - encoded[i].Context.Length, own.Length);
            // Two ways to take a logarithm of a sum of f32 numbers: some ulps a token.
            Assert.Equal(scores[i][0].LogLikelihood, own.Sum(p => p.GetDouble()), 1e-4 * own.Length);
            Assert.Equal(scores[i][0].Greedy, greedy);
        }
    }

    [Fact]
    public async Task C18_models_have_every_field_that_strict_clients_read()
    {
        var list = await mini.Server.GetAsync($"{mini.Server.Client.BaseAddress}/v1/models");
        Assert.Equal("list", list.GetProperty("object").GetString());
        foreach (var model in list.GetProperty("data").EnumerateArray())
        {
            var alone = await mini.Server.GetAsync($"/v1/models/{model.GetProperty("id").GetString()}");
            Assert.Equal(model.GetRawText(), alone.GetRawText());
            Assert.Equal(("model", "dualsparse"), (alone.GetProperty("object").GetString(), alone.GetProperty("owned_by").GetString()));
            Assert.InRange(alone.GetProperty("created").GetInt64(), 1_700_000_000, long.MaxValue);
            Assert.Equal((512, 512), (alone.GetProperty("context_length").GetInt32(), alone.GetProperty("max_model_len").GetInt32()));
        }
    }

    [Fact]
    public async Task C20_fields_that_nobody_knows_are_passed_over_and_an_unknown_address_says_what_there_is()
    {
        var answer = await mini.Server.AnswerAsync(Chat, """
            {"messages":[{"role":"user","content":"a","name":"b"}],"max_tokens":2,"num_ctx":4096,"user":"u","store":true,"metadata":{"a":"b"},"service_tier":"auto","prompt_cache_key":"k","client_metadata":{},"reasoning_effort":"low","parallel_tool_calls":true,"options":{"x":[1]}}
            """);
        Assert.Equal(2, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        var error = await mini.Server.ErrorAsync(404, "/v1/responses", """{"input":"a"}""");
        Assert.Contains("/v1/chat/completions", error.GetProperty("message").GetString());
    }

    [Fact]
    public async Task C21_a_users_text_is_no_control_token()
    {
        string special = mini.Model.Tokenizer.Encode("<|endoftext|>", addSpecial: false) is [_] ? "<|endoftext|>" : throw new InvalidOperationException("the test needs a control token of this name");
        // As text it is a token for the brackets, the bars, the words.
        Assert.InRange(await PromptTokensAsync($"a{special}") - await PromptTokensAsync("a"), 4, special.Length);

        async Task<int> PromptTokensAsync(string content) => (await mini.Server.AnswerAsync(
            Chat, $$"""{"messages":[{"role":"user","content":"{{content}}"}],"max_tokens":1}""")).GetProperty("usage").GetProperty("prompt_tokens").GetInt32();
    }

    internal static string Written(JsonElement answer) => answer.GetProperty("choices")[0].GetProperty("text").GetString()!;

    // All that a server's requests held is free again.
    internal static Task Free(TestServer server) =>
        TestServer.UntilAsync(() => server.Scheduler.State is { Running: 0, Waiting: 0 } state && state.PagesUsed == state.PagesKept);
}
