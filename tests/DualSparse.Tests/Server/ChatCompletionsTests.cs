using System.Text.Json;

namespace DualSparse.Tests.Server;

[Collection("server")]
public class ChatCompletionsTests(ServedMini mini)
{
    private const string Path = "/v1/chat/completions";

    [Fact]
    public async Task A_conversation_is_answered_with_what_clients_read()
    {
        var answer = await mini.Server.AnswerAsync(Path, """{"model":"mini","messages":[{"role":"user","content":"Hello"}],"max_tokens":8,"temperature":0}""");
        Assert.Equal(("chat.completion", "mini"), (answer.GetProperty("object").GetString(), answer.GetProperty("model").GetString()));
        Assert.StartsWith("chatcmpl-", answer.GetProperty("id").GetString());
        Assert.StartsWith("dualsparse-", answer.GetProperty("system_fingerprint").GetString());
        Assert.InRange(answer.GetProperty("created").GetInt64(), 1_700_000_000, long.MaxValue);
        var choice = Assert.Single(answer.GetProperty("choices").EnumerateArray());
        Assert.Equal(("assistant", "length"), (choice.GetProperty("message").GetProperty("role").GetString(), choice.GetProperty("finish_reason").GetString()));
        var usage = answer.GetProperty("usage");
        Assert.Equal(8, usage.GetProperty("completion_tokens").GetInt32());
        Assert.Equal(usage.GetProperty("total_tokens").GetInt32(), usage.GetProperty("prompt_tokens").GetInt32() + 8);
        // The same as by the template and the engine.
        using var session = mini.Model.NewSession();
        string expected = session.Generate("user: Hello\nassistant:", new() { MaxTokens = 8 }).ReadToEnd();
        Assert.Equal(expected, choice.GetProperty("message").GetProperty("content").GetString());
    }

    [Fact]
    public async Task A_stream_says_the_same_in_pieces()
    {
        const string Asked = """ "messages":[{"role":"user","content":"Tell me of the sea"}],"max_tokens":24,"temperature":0""";
        var whole = await mini.Server.AnswerAsync(Path, $"{{{Asked}}}");
        var chunks = await mini.Server.ChunksAsync(Path, $"{{{Asked},\"stream\":true}}");
        Assert.Equal(whole.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString(), string.Concat(chunks.Select(Content)));
        var first = chunks[0].GetProperty("choices")[0].GetProperty("delta");
        Assert.Equal(("assistant", ""), (first.GetProperty("role").GetString(), first.GetProperty("content").GetString()));
        Assert.Single(chunks.Select(c => (c.GetProperty("id").GetString(), c.GetProperty("created").GetInt64(), c.GetProperty("model").GetString())).Distinct());
        var last = chunks[^1].GetProperty("choices")[0];
        Assert.Equal(("{}", "length"), (last.GetProperty("delta").GetRawText(), last.GetProperty("finish_reason").GetString()));
        // Nothing before the last is an end, and what isn't is said to be none.
        Assert.All(chunks[..^1], c => Assert.Equal(JsonValueKind.Null, c.GetProperty("choices")[0].GetProperty("finish_reason").ValueKind));
    }

    [Fact]
    public async Task Several_answers_have_an_index_each_and_share_the_prompt()
    {
        const string Asked = """ "messages":[{"role":"user","content":"Who was it?"}],"max_tokens":6,"temperature":1,"seed":7,"n":3""";
        var whole = await mini.Server.AnswerAsync(Path, $"{{{Asked}}}");
        var texts = whole.GetProperty("choices").EnumerateArray().Select(c => (c.GetProperty("index").GetInt32(), c.GetProperty("message").GetProperty("content").GetString())).ToArray();
        Assert.Equal([0, 1, 2], texts.Select(t => t.Item1));
        Assert.True(texts.Select(t => t.Item2).Distinct().Count() > 1);
        Assert.Equal(18, whole.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        var chunks = await mini.Server.ChunksAsync(Path, $"{{{Asked},\"stream\":true}}");
        for (int i = 0; i < 3; i++)
        {
            var own = chunks.Where(c => c.GetProperty("choices")[0].GetProperty("index").GetInt32() == i).ToArray();
            Assert.Equal(texts[i].Item2, string.Concat(own.Select(Content)));
            Assert.Equal("assistant", own[0].GetProperty("choices")[0].GetProperty("delta").GetProperty("role").GetString());
            Assert.Single(own, c => c.GetProperty("choices")[0].GetProperty("finish_reason").ValueKind == JsonValueKind.String);
        }
    }

    [Fact]
    public async Task A_stop_text_ends_the_answer_and_is_not_in_it()
    {
        const string Asked = """ "messages":[{"role":"user","content":"Tell me of the sea"}],"max_tokens":24,"temperature":0""";
        string text = Text(await mini.Server.AnswerAsync(Path, $"{{{Asked}}}"));
        string stop = text.Substring(text.Length / 2, 3);
        var answer = await mini.Server.AnswerAsync(Path, $"{{{Asked},\"stop\":[{JsonSerializer.Serialize(stop)},\"§§\"]}}");
        Assert.Equal((text[..text.IndexOf(stop, StringComparison.Ordinal)], "stop"), (Text(answer), answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString()));
    }

    [Fact]
    public async Task Log_probabilities_come_with_their_tokens_bytes_and_alternatives()
    {
        const string Asked = """ "messages":[{"role":"user","content":"Hello"}],"max_tokens":5,"temperature":0,"logprobs":true,"top_logprobs":3""";
        var whole = (await mini.Server.AnswerAsync(Path, $"{{{Asked}}}")).GetProperty("choices")[0];
        var tokens = whole.GetProperty("logprobs").GetProperty("content").EnumerateArray().ToArray();
        Assert.Equal(5, tokens.Length);
        Assert.All(tokens, token =>
        {
            Assert.Equal(3, token.GetProperty("top_logprobs").GetArrayLength());
            // Greedily the best is taken.
            Assert.Equal(token.GetProperty("token").GetString(), token.GetProperty("top_logprobs")[0].GetProperty("token").GetString());
            Assert.Equal(token.GetProperty("logprob").GetSingle(), token.GetProperty("top_logprobs")[0].GetProperty("logprob").GetSingle());
        });
        byte[] bytes = [.. tokens.SelectMany(t => t.GetProperty("bytes").EnumerateArray().Select(b => b.GetByte()))];
        Assert.Equal(whole.GetProperty("message").GetProperty("content").GetString(), System.Text.Encoding.UTF8.GetString(bytes));
        var streamed = (await mini.Server.ChunksAsync(Path, $"{{{Asked},\"stream\":true}}")).Select(c => c.GetProperty("choices")[0])
            .Where(c => c.TryGetProperty("logprobs", out _)).SelectMany(c => c.GetProperty("logprobs").GetProperty("content").EnumerateArray());
        Assert.Equal(tokens.Select(t => t.GetRawText()), streamed.Select(t => t.GetRawText()));
        var error = await mini.Server.ErrorAsync(400, Path, """{"messages":[{"role":"user","content":"x"}],"top_logprobs":3}""");
        Assert.Equal("top_logprobs", error.GetProperty("param").GetString());
    }

    [Fact]
    public async Task What_a_request_says_acts_and_what_it_does_not_is_the_checkpoints()
    {
        const string Asked = """ "messages":[{"role":"user","content":"Hello"}],"max_tokens":12""";
        string greedy = Text(await mini.Server.AnswerAsync(Path, $"{{{Asked},\"temperature\":0}}"));
        Assert.Equal(greedy, Text(await mini.Server.AnswerAsync(Path, $"{{{Asked},\"temperature\":1,\"top_k\":1}}")));
        Assert.Equal(greedy, Text(await mini.Server.AnswerAsync(Path, $"{{{Asked},\"temperature\":1,\"top_p\":0}}")));
        Assert.Equal(greedy, Text(await mini.Server.AnswerAsync(Path, $"{{{Asked},\"temperature\":1,\"min_p\":1}}")));
        string seeded = Text(await mini.Server.AnswerAsync(Path, $"{{{Asked},\"temperature\":1.5,\"seed\":-3}}"));
        Assert.Equal(seeded, Text(await mini.Server.AnswerAsync(Path, $"{{{Asked},\"temperature\":1.5,\"seed\":-3}}")));
        Assert.NotEqual(seeded, Text(await mini.Server.AnswerAsync(Path, $"{{{Asked},\"temperature\":1.5,\"seed\":4}}")));
        // A token that is made sure comes; one that is made impossible doesn't.
        int id = mini.Model.Tokenizer.Encode(" sea", addSpecial: false)[0];
        Assert.StartsWith(" sea", Text(await mini.Server.AnswerAsync(Path, $"{{{Asked},\"temperature\":0,\"logit_bias\":{{\"{id}\":100}}}}")));
        string without = Text(await mini.Server.AnswerAsync(Path, $"{{{Asked},\"temperature\":0,\"frequency_penalty\":2,\"presence_penalty\":2}}"));
        Assert.NotEqual(greedy, without);
    }

    // max_completion_tokens is the new name; some clients send numbers that no context holds.
    [Fact]
    public async Task The_number_of_tokens_is_the_newer_fields_and_never_more_than_there_is_room_for()
    {
        const string Asked = """ "messages":[{"role":"user","content":"Hello"}],"temperature":0""";
        var answer = await mini.Server.AnswerAsync(Path, $"{{{Asked},\"max_tokens\":9,\"max_completion_tokens\":3}}");
        Assert.Equal(3, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        answer = await mini.Server.AnswerAsync(Path, $"{{{Asked},\"max_tokens\":32000,\"ignore_eos\":true}}");
        Assert.Equal((512, "length"), (answer.GetProperty("usage").GetProperty("total_tokens").GetInt32(), answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString()));
    }

    [Theory]
    [InlineData("""{"messages":[]}""", "messages")]
    [InlineData("""{}""", "messages")]
    [InlineData("""{"messages":"Hello"}""", "messages")]
    [InlineData("""{"messages":[5]}""", "messages[0]")]
    [InlineData("""{"messages":[{"content":"x"}]}""", "messages[0].role")]
    [InlineData("""{"messages":[{"role":"king","content":"x"}]}""", "messages[0].role")]
    [InlineData("""{"messages":[{"role":"user"}]}""", "messages[0].content")]
    [InlineData("""{"messages":[{"role":"user","content":7}]}""", "messages[0].content")]
    [InlineData("""{"messages":[{"role":"user","content":"\ud800"}]}""", "messages[0].content")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:"}}]}]}""", "messages[0].content[0]")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"text"}]}]}""", "messages[0].content[0].text")]
    [InlineData("""{"messages":[{"role":"assistant","tool_calls":[{"function":{}}]}]}""", "messages[0].tool_calls[0].function.name")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"temperature":"hot"}""", "temperature")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"temperature":-1}""", "temperature")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"top_p":1.5}""", "top_p")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"n":0}""", "n")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"n":1000}""", "n")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"max_tokens":0}""", "max_tokens")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"stop":5}""", "stop")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"stop":[""]}""", "stop[0]")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"seed":0.5}""", "seed")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"logit_bias":{"sea":1}}""", "logit_bias")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"logit_bias":{"5":1000}}""", "logit_bias.5")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"stream":"yes"}""", "stream")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"web_search"}]}""", "tools[0].type")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"tool_choice":"required"}""", "tool_choice")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"tool_choice":{"type":"function","function":{"name":"f"}}}""", "tool_choice")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"functions":[{"name":"f"}]}""", "functions")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"modalities":["text","audio"]}""", "modalities")]
    public async Task What_is_not_as_it_must_be_is_named(string body, string param)
    {
        var error = await mini.Server.ErrorAsync(400, Path, body);
        Assert.Equal(("invalid_request_error", param), (error.GetProperty("type").GetString(), error.GetProperty("param").GetString()));
        Assert.Contains(param.Split('[')[0].Split('.')[0], error.GetProperty("message").GetString());
    }

    [Fact]
    public async Task Content_in_parts_and_other_roles_are_read()
    {
        var error = await mini.Server.AnswerAsync("/apply-template", """
            {"messages":[{"role":"developer","content":"Be brief"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"assistant","content":null}]}
            """);
        Assert.Contains("ab", error.GetProperty("prompt").GetString());
    }

    internal static string Content(JsonElement chunk) =>
        chunk.GetProperty("choices") is var choices && choices.GetArrayLength() > 0 && choices[0].GetProperty("delta").TryGetProperty("content", out var text) ? text.GetString()! : "";

    private static string Text(JsonElement answer) => answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
}
