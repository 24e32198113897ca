using System.Text;
using System.Text.Json;
using DualSparse.Engine;
using DualSparse.Engine.Serving;
using DualSparse.Engine.Serving.Batching;
using DualSparse.Models.Text.Templates;
using DualSparse.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace DualSparse.Tests.Server;

/// <summary>Calls of functions in answers; what the model writes is made up, since the one that ships calls none.</summary>
[Collection("server")]
public class ToolCallTests(ServedMini mini)
{
    // A template by which a call is JSON between two tags.
    private const string Template = """{{ messages[0].content }}{% for tool in tools or [] %}{{ tool.function.name }}{% endfor %}<think></think><tool_call>{"name": "", "arguments": {}}</tool_call>""";

    private const string Written = "Wait.\n<tool_call>\n{\"name\": \"now\", \"arguments\": {\"zone\": \"UTC\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";

    [Fact]
    public async Task C11_each_part_of_a_call_has_its_index_and_the_first_its_id_type_and_name()
    {
        var chunks = (await AnswerAsync(stream: true)).Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Where(e => !e.EndsWith("[DONE]", StringComparison.Ordinal)).Select(e => JsonElement.Parse(e[6..]).GetProperty("choices")[0]).ToArray();
        var parts = chunks.Where(c => c.GetProperty("delta").TryGetProperty("tool_calls", out _)).SelectMany(c => c.GetProperty("delta").GetProperty("tool_calls").EnumerateArray()).ToArray();
        Assert.Equal([0, 1], parts.Select(p => p.GetProperty("index").GetInt32()).Distinct());
        string[] arguments = ["", ""];
        for (int i = 0; i < 2; i++)
        {
            var own = parts.Where(p => p.GetProperty("index").GetInt32() == i).ToArray();
            Assert.Equal(("function", "now"), (own[0].GetProperty("type").GetString(), own[0].GetProperty("function").GetProperty("name").GetString()));
            Assert.NotEmpty(own[0].GetProperty("id").GetString()!);
            Assert.All(own[1..], p => Assert.False(p.TryGetProperty("id", out _) || p.GetProperty("function").TryGetProperty("name", out _)));
            arguments[i] = string.Concat(own.Select(p => p.GetProperty("function").TryGetProperty("arguments", out var more) ? more.GetString() : ""));
        }

        Assert.Equal("UTC", JsonElement.Parse(arguments[0]).GetProperty("zone").GetString());
        Assert.Equal("{}", arguments[1]);
        Assert.StartsWith("Wait.", string.Concat(chunks.Select(c => c.GetProperty("delta").TryGetProperty("content", out var text) ? text.GetString() : "")));
        Assert.Equal(("{}", "tool_calls"), (chunks[^1].GetProperty("delta").GetRawText(), chunks[^1].GetProperty("finish_reason").GetString()));
    }

    [Theory]
    [InlineData(true, 2)]
    [InlineData(false, 1)]
    public async Task A_whole_answer_has_the_calls_beside_the_text(bool parallel, int count)
    {
        var choice = JsonElement.Parse(await AnswerAsync(stream: false, parallel)).GetProperty("choices")[0];
        Assert.Equal("tool_calls", choice.GetProperty("finish_reason").GetString());
        var calls = choice.GetProperty("message").GetProperty("tool_calls").EnumerateArray().ToArray();
        Assert.Equal(count, calls.Length);
        Assert.Equal(count, calls.Select(c => c.GetProperty("id").GetString()).Distinct().Count());
        Assert.Equal("UTC", JsonElement.Parse(calls[0].GetProperty("function").GetProperty("arguments").GetString()!).GetProperty("zone").GetString());
        Assert.StartsWith("Wait.", choice.GetProperty("message").GetProperty("content").GetString());
    }

    [Fact]
    public async Task Whoever_gave_no_functions_gets_text()
    {
        var choice = JsonElement.Parse(await AnswerAsync(stream: false, tools: "[]")).GetProperty("choices")[0];
        Assert.Equal((Written, "stop"), (choice.GetProperty("message").GetProperty("content").GetString(), choice.GetProperty("finish_reason").GetString()));
    }

    private async Task<string> AnswerAsync(bool stream, bool parallel = true, string tools = """[{"type":"function","function":{"name":"now","parameters":{"type":"object","properties":{"zone":{"type":"string"}}}}}]""")
    {
        var host = mini.Server.App.Services.GetRequiredService<ModelHost>();
        var template = ChatTemplate.Parse(Template);
        var asked = JsonElement.Parse(tools);
        var chat = template.Render(new ChatRequest { Messages = JsonElement.Parse("""[{"role":"user","content":"What time is it?"}]"""), Tools = asked });
        var http = new DefaultHttpContext();
        var body = new MemoryStream();
        http.Response.Body = body;
        var call = new Call(http, host, new ServerOptions(), default);
        var request = new RequestStream(new GenerationRequest { Prompt = new[] { 1 } }, new GenerationOptions(), mini.Model.Transformer.Drop, () => { });
        for (int i = 0; i < Written.Length; i += 5)
            request.Write(0, new GeneratedToken(50, Written.Substring(i, Math.Min(5, Written.Length - i)), null, [], i + 5 >= Written.Length ? FinishReason.EndOfText : null));
        request.Complete();
        using var submission = new Submission([request], 1);
        var answer = new ChatAnswer(call, host.Serving, "mini", submission, new DialSetting(DropRequest.None, null), () => new AnswerText(mini.Model.Tokenizer, template, chat, asked, parallel), withLogProbs: false);
        await (stream ? answer.StreamAsync(usage: false) : answer.WholeAsync());
        return Encoding.UTF8.GetString(body.ToArray());
    }
}
