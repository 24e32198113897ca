using System.Text.Json;

namespace DualSparse.Tests.Server;

[Collection("server")]
public class CompletionsTests(ServedMini mini)
{
    private const string Path = "/v1/completions";

    [Fact]
    public async Task Texts_and_ids_one_or_several_are_continued()
    {
        int[] ids = mini.Model.Tokenizer.Encode("Once upon a time"), other = mini.Model.Tokenizer.Encode("The city of");
        string one = Text(await Answer("\"Once upon a time\""), 0), two = Text(await Answer("\"The city of\""), 0);
        Assert.Equal(one, Text(await Answer($"[{string.Join(',', ids)}]"), 0));
        foreach (string both in (string[])["[\"Once upon a time\",\"The city of\"]", $"[[{string.Join(',', ids)}],[{string.Join(',', other)}]]"])
        {
            var answer = await Answer(both);
            Assert.Equal([one, two], [Text(answer, 0), Text(answer, 1)]);
            Assert.Equal([0, 1], answer.GetProperty("choices").EnumerateArray().Select(c => c.GetProperty("index").GetInt32()));
            Assert.Equal(ids.Length + other.Length, answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        }

        Task<JsonElement> Answer(string prompt) => mini.Server.AnswerAsync(Path, $$"""{"prompt":{{prompt}},"max_tokens":6,"temperature":0}""");
    }

    [Fact]
    public async Task It_writes_sixteen_tokens_unless_told_otherwise()
    {
        var usage = (await mini.Server.AnswerAsync(Path, """{"prompt":"The","temperature":0,"ignore_eos":true}""")).GetProperty("usage");
        Assert.Equal(16, usage.GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task Two_answers_to_each_of_two_prompts_come_in_order_whole_and_streamed()
    {
        const string Asked = """ "prompt":["Once upon a time","The city of"],"n":2,"max_tokens":5,"temperature":1,"seed":3""";
        var whole = await mini.Server.AnswerAsync(Path, $"{{{Asked}}}");
        Assert.Equal(4, whole.GetProperty("choices").GetArrayLength());
        var chunks = await mini.Server.ChunksAsync(Path, $"{{{Asked},\"stream\":true,\"stream_options\":{{\"include_usage\":true}}}}");
        for (int i = 0; i < 4; i++)
            Assert.Equal(Text(whole, i), string.Concat(chunks.SelectMany(c => c.GetProperty("choices").EnumerateArray()).Where(c => c.GetProperty("index").GetInt32() == i).Select(c => c.GetProperty("text").GetString())));
        Assert.Equal(20, chunks[^1].GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.Equal(0, chunks[^1].GetProperty("choices").GetArrayLength());
        Assert.Equal(4, chunks.SelectMany(c => c.GetProperty("choices").EnumerateArray()).Count(c => c.GetProperty("finish_reason").ValueKind == JsonValueKind.String));
    }

    [Fact]
    public async Task An_echo_is_the_prompt_as_it_was_given_with_every_tokens_log_probability()
    {
        foreach (bool stream in (bool[])[false, true])
        {
            string asked = $$"""{"prompt":"Once upon a time","max_tokens":2,"echo":true,"logprobs":2,"temperature":0,"stream":{{(stream ? "true" : "false")}}}""";
            JsonElement[] choices = stream
                ? [.. (await mini.Server.ChunksAsync(Path, asked)).Select(c => c.GetProperty("choices")[0])]
                : [(await mini.Server.AnswerAsync(Path, asked)).GetProperty("choices")[0]];
            string text = string.Concat(choices.Select(c => c.GetProperty("text").GetString()));
            Assert.StartsWith("Once upon a time", text);
            var lists = choices.Select(c => c.GetProperty("logprobs")).Where(l => l.ValueKind == JsonValueKind.Object).ToArray();
            string[] tokens = [.. lists.SelectMany(l => l.GetProperty("tokens").EnumerateArray()).Select(t => t.GetString()!)];
            Assert.Equal(text, string.Concat(tokens));
            int[] offsets = [.. lists.SelectMany(l => l.GetProperty("text_offset").EnumerateArray()).Select(o => o.GetInt32())];
            Assert.Equal(offsets, tokens.Select((_, i) => tokens[..i].Sum(t => t.Length)));
            var probabilities = lists.SelectMany(l => l.GetProperty("token_logprobs").EnumerateArray()).ToArray();
            Assert.Equal((tokens.Length, JsonValueKind.Null), (probabilities.Length, probabilities[0].ValueKind));
            var top = lists.SelectMany(l => l.GetProperty("top_logprobs").EnumerateArray()).ToArray();
            Assert.Equal(JsonValueKind.Null, top[0].ValueKind);
            for (int i = 1; i < tokens.Length; i++)
                Assert.Equal(probabilities[i].GetSingle(), top[i].GetProperty(tokens[i]).GetSingle());
        }
    }

    [Fact]
    public async Task Whoever_asks_for_no_token_gets_the_echo_alone()
    {
        var choice = (await mini.Server.AnswerAsync(Path, """{"prompt":"Once upon","max_tokens":0,"echo":true,"logprobs":0}""")).GetProperty("choices")[0];
        Assert.Equal(("Once upon", "length"), (choice.GetProperty("text").GetString(), choice.GetProperty("finish_reason").GetString()));
        Assert.Equal(mini.Model.Tokenizer.Encode("Once upon").Length, choice.GetProperty("logprobs").GetProperty("tokens").GetArrayLength());
        var chunks = await mini.Server.ChunksAsync(Path, """{"prompt":"Once upon","max_tokens":0,"echo":true,"stream":true}""");
        Assert.Equal("Once upon", Assert.Single(chunks).GetProperty("choices")[0].GetProperty("text").GetString());
    }

    [Theory]
    [InlineData("""{}""", "prompt")]
    [InlineData("""{"prompt":5}""", "prompt")]
    [InlineData("""{"prompt":[]}""", "prompt")]
    [InlineData("""{"prompt":[[]]}""", "prompt[0]")]
    [InlineData("""{"prompt":[1,"a"]}""", "prompt")]
    [InlineData("""{"prompt":["a",5]}""", "prompt[1]")]
    [InlineData("""{"prompt":[-1]}""", "prompt")]
    [InlineData("""{"prompt":[1.5]}""", "prompt")]
    [InlineData("""{"prompt":"a","logprobs":500}""", "logprobs")]
    [InlineData("""{"prompt":"a","suffix":"b"}""", "suffix")]
    [InlineData("""{"prompt":"a","best_of":3}""", "best_of")]
    public async Task What_is_not_as_it_must_be_is_named(string body, string param) =>
        Assert.Equal(param, (await mini.Server.ErrorAsync(400, Path, body)).GetProperty("param").GetString());

    [Fact]
    public async Task An_id_outside_the_vocabulary_and_too_many_prompts_are_refused()
    {
        Assert.Contains("outside the vocabulary", (await mini.Server.ErrorAsync(400, Path, """{"prompt":[9999999]}""")).GetProperty("message").GetString());
        string many = $"[{string.Join(',', Enumerable.Repeat("\"a\"", 129))}]";
        Assert.Contains("at most 128", (await mini.Server.ErrorAsync(400, Path, $$"""{"prompt":{{many}}}""")).GetProperty("message").GetString());
    }

    private static string Text(JsonElement answer, int choice) => answer.GetProperty("choices")[choice].GetProperty("text").GetString()!;
}
