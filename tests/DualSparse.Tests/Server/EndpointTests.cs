using System.Net;
using System.Text.Json;

namespace DualSparse.Tests.Server;

/// <summary>The endpoints that don't generate.</summary>
[Collection("server")]
public class EndpointTests(ServedMini mini)
{
    [Fact]
    public async Task Text_becomes_ids_and_ids_text()
    {
        int[] ids = mini.Model.Tokenizer.Encode("Once upon a time");
        foreach (string field in (string[])["prompt", "content"])
        {
            var tokens = await mini.Server.AnswerAsync("/tokenize", $$"""{"{{field}}":"Once upon a time"}""");
            Assert.Equal(ids, tokens.GetProperty("tokens").EnumerateArray().Select(t => t.GetInt32()));
            Assert.Equal((ids.Length, 512), (tokens.GetProperty("count").GetInt32(), tokens.GetProperty("max_model_len").GetInt32()));
        }

        var text = await mini.Server.AnswerAsync("/detokenize", $$"""{"tokens":[{{string.Join(',', ids)}}]}""");
        Assert.Equal("Once upon a time", text.GetProperty("prompt").GetString());
        Assert.Equal("", (await mini.Server.AnswerAsync("/detokenize", """{"tokens":[]}""")).GetProperty("prompt").GetString());
        Assert.Equal("prompt", (await mini.Server.ErrorAsync(400, "/tokenize", "{}")).GetProperty("param").GetString());
        Assert.Equal("tokens", (await mini.Server.ErrorAsync(400, "/detokenize", """{"tokens":"a"}""")).GetProperty("param").GetString());
    }

    [Fact]
    public async Task A_conversation_is_shown_as_the_template_writes_it()
    {
        const string Messages = """ "messages":[{"role":"system","content":"Be brief"},{"role":"user","content":"Hello"}]""";
        string text = (await mini.Server.AnswerAsync("/apply-template", $"{{{Messages}}}")).GetProperty("prompt").GetString()!;
        Assert.Equal("system: Be brief\nuser: Hello\nassistant:", text);
        var tokens = (await mini.Server.AnswerAsync("/tokenize", $"{{{Messages}}}")).GetProperty("tokens").EnumerateArray().Select(t => t.GetInt32());
        Assert.Equal(mini.Model.Tokenizer.Encode(text), tokens);
    }

    [Fact]
    public async Task The_tokenizers_settings_are_the_folders()
    {
        var own = JsonElement.Parse(await File.ReadAllTextAsync(Path.Combine(TestPaths.Model, "tokenizer_config.json")));
        var info = await mini.Server.GetAsync("/tokenizer_info");
        Assert.Equal([.. own.EnumerateObject().Select(p => p.Name), "chat_template"], info.EnumerateObject().Select(p => p.Name));
        Assert.Equal(ServedMini.Template, info.GetProperty("chat_template").GetString());
    }

    [Fact]
    public async Task Figures_have_the_names_that_collectors_know_and_our_own()
    {
        await mini.Server.AnswerAsync("/v1/completions", """{"prompt":"Once","max_tokens":3,"drop":0.25}""");
        await mini.Server.ErrorAsync(400, "/v1/completions", """{"prompt":5}""");
        string figures = "";
        // The collector keeps an answer for a moment.
        for (int i = 0; i < 50 && !figures.Contains("status=\"400\"", StringComparison.Ordinal); i++)
        {
            await Task.Delay(50);
            figures = await mini.Server.Client.GetStringAsync("/metrics");
        }

        foreach (string name in (string[])["gen_ai_server_request_duration_seconds_bucket", "gen_ai_server_time_to_first_token_seconds_count", "gen_ai_server_time_per_output_token_seconds_sum",
            "gen_ai_client_token_usage", "dualsparse_requests_total", "dualsparse_drop_share", "dualsparse_expected_kl", "dualsparse_running", "dualsparse_waiting", "dualsparse_pages_used", "dualsparse_steps_total"])
            Assert.Contains(name, figures);
        Assert.Contains("gen_ai_operation_name=\"text_completion\"", figures);
        Assert.Contains("gen_ai_request_model=\"mini\"", figures);
        Assert.Contains("status=\"400\"", figures);
        Assert.DoesNotContain("gen_ai_request_model=\"gpt-4\"", figures);
    }

    [Fact]
    public async Task What_is_not_there_says_what_is()
    {
        using var wrong = await mini.Server.Client.GetAsync("/v1/chat/completions");
        Assert.Equal(HttpStatusCode.NotFound, wrong.StatusCode);
        Assert.Contains("POST /v1/chat/completions", TestServer.Error(await wrong.Content.ReadAsStringAsync()).GetProperty("message").GetString());
        using var model = await mini.Server.Client.GetAsync("/v1/models/a/b");
        Assert.Equal(HttpStatusCode.NotFound, model.StatusCode);
        Assert.Equal("model_not_found", TestServer.Error(await model.Content.ReadAsStringAsync()).GetProperty("code").GetString());
    }
}
