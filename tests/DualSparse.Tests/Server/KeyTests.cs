using System.Net;

namespace DualSparse.Tests.Server;

/// <summary>Who may call: keys, and pages of browsers.</summary>
[Collection("server")]
public class KeyTests(ServedMini mini)
{
    private const string Path = "/v1/completions", Body = """{"prompt":"a","max_tokens":1}""";

    [Fact]
    public async Task Where_there_are_keys_a_request_carries_one()
    {
        await using var server = await TestServer.StartAsync(mini.Model, options =>
        {
            options.ApiKeys.Add("first");
            options.ApiKeys.Add("second");
        });
        using var none = await server.PostAsync(Path, Body);
        Assert.Equal((HttpStatusCode.Unauthorized, "Bearer"), (none.StatusCode, none.Headers.WwwAuthenticate.ToString()));
        Assert.Equal("authentication_error", TestServer.Error(await none.Content.ReadAsStringAsync()).GetProperty("type").GetString());
        foreach (var wrong in ((string, string)[])[("Authorization", "Bearer third"), ("Authorization", "Bearer "), ("Authorization", "Basic first"), ("X-Api-Key", "firs")])
            await server.ErrorAsync(401, Path, Body, wrong);
        foreach (var right in ((string, string)[])[("Authorization", "Bearer first"), ("Authorization", "bearer second"), ("X-Api-Key", "first")])
            await server.AnswerAsync(Path, Body, right);
        // What says whether and what it serves is open; what it has done isn't.
        await server.GetAsync("/health");
        await server.GetAsync("/v1/models");
        Assert.Equal(HttpStatusCode.Unauthorized, (await server.Client.GetAsync("/metrics")).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await server.Client.GetAsync("/tokenizer_info")).StatusCode);
    }

    [Fact]
    public async Task Any_page_may_call_unless_some_are_named()
    {
        using var any = await mini.Server.PostAsync(Path, Body, default, ("Origin", "https://a.example"));
        Assert.Equal("*", Assert.Single(any.Headers.GetValues("Access-Control-Allow-Origin")));
        Assert.False(any.Headers.Contains("Access-Control-Allow-Credentials"));
        await using var server = await TestServer.StartAsync(mini.Model, options =>
        {
            options.CorsOrigins.Clear();
            options.CorsOrigins.Add("https://a.example");
            options.ApiKeys.Add("key");
        });
        // Browsers send no key with the question whether they may send one.
        var question = new HttpRequestMessage(HttpMethod.Options, Path);
        question.Headers.Add("Origin", "https://a.example");
        question.Headers.Add("Access-Control-Request-Method", "POST");
        question.Headers.Add("Access-Control-Request-Headers", "authorization, x-dualsparse-drop");
        using var may = await server.Client.SendAsync(question);
        Assert.Equal(HttpStatusCode.NoContent, may.StatusCode);
        Assert.Equal("https://a.example", Assert.Single(may.Headers.GetValues("Access-Control-Allow-Origin")));
        Assert.Contains("x-dualsparse-drop", string.Join(',', may.Headers.GetValues("Access-Control-Allow-Headers")));
        using var other = await server.PostAsync(Path, Body, default, ("Origin", "https://b.example"), ("X-Api-Key", "key"));
        Assert.False(other.Headers.Contains("Access-Control-Allow-Origin"));
        // The page sees why, too.
        using var failed = await server.PostAsync(Path, Body, default, ("Origin", "https://a.example"));
        Assert.Equal("https://a.example", Assert.Single(failed.Headers.GetValues("Access-Control-Allow-Origin")));
    }
}
