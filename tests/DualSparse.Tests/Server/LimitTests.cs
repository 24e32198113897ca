using System.Net;
using System.Net.Sockets;
using System.Text;
using DualSparse.Engine.Serving.Batching;

namespace DualSparse.Tests.Server;

/// <summary>Bodies, time and company have bounds, and what passes them is told.</summary>
[Collection("server")]
public class LimitTests(ServedMini mini)
{
    private const string Path = "/v1/completions";

    [Theory]
    [InlineData("", "no body")]
    [InlineData("  ", "no body")]
    [InlineData("{", "cut off")]
    [InlineData("{\"prompt\":\"a\",}", "comma before the closing bracket")]
    [InlineData("{'prompt':'a'}", "single quote")]
    [InlineData("{\"prompt\":\"a\"} x", "not valid JSON")]
    [InlineData("[]", "expected an object")]
    [InlineData("null", "expected an object")]
    [InlineData("\"a\"", "expected an object")]
    [InlineData("{\"prompt\":\"a\",\"prompt\":\"b\"}", "twice")]
    [InlineData("{\"prompt\":\"a\",\"temperature\":NaN}", "'temperature' is NaN")]
    [InlineData("{\"prompt\":\"a\",\"temperature\":1e999}", "'temperature' is 1e999")]
    [InlineData("{\"prompt\":\"a\",\"max_tokens\":99999999999}", "'max_tokens' is 99999999999")]
    public async Task A_body_that_is_none_is_named(string body, string expected) =>
        Assert.Contains(expected, (await mini.Server.ErrorAsync(400, Path, body)).GetProperty("message").GetString());

    [Fact]
    public async Task Bytes_that_are_no_text_and_arrays_without_an_end_are_refused()
    {
        var content = new ByteArrayContent([.. "{\"prompt\":\""u8, 0xff, .. "\"}"u8]);
        using var response = await mini.Server.Client.PostAsync(Path, content);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("0xff", TestServer.Error(await response.Content.ReadAsStringAsync()).GetProperty("message").GetString());
        string deep = $$"""{"prompt":"a","x":{{new string('[', 5000)}}{{new string(']', 5000)}}}""";
        Assert.Contains("deeper than 64", (await mini.Server.ErrorAsync(400, Path, deep)).GetProperty("message").GetString());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_body_that_is_too_long_is_refused_told_beforehand_or_not(bool told)
    {
        await using var server = await TestServer.StartAsync(mini.Model, options => options.MaxBodyBytes = 1000);
        var request = new HttpRequestMessage(HttpMethod.Post, Path) { Content = new StringContent($$"""{"prompt":"{{new string('a', 2000)}}"}""") };
        request.Headers.TransferEncodingChunked = !told;
        using var response = await server.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        Assert.Contains("1000 bytes", TestServer.Error(await response.Content.ReadAsStringAsync()).GetProperty("message").GetString());
    }

    [Fact]
    public async Task A_conversation_has_so_many_messages_at_most()
    {
        await using var server = await TestServer.StartAsync(mini.Model, options => options.MaxMessages = 2);
        const string Message = """{"role":"user","content":"a"}""";
        var error = await server.ErrorAsync(400, "/v1/chat/completions", $$"""{"messages":[{{Message}},{{Message}},{{Message}}]}""");
        Assert.Contains("3 messages, expected at most 2", error.GetProperty("message").GetString());
    }

    [Fact]
    public async Task A_request_that_takes_too_long_is_ended_and_its_client_told_not_to_try_again()
    {
        await using var server = await TestServer.StartAsync(mini.Model, options =>
        {
            options.RequestTimeout = TimeSpan.FromSeconds(0.3);
            options.Scheduler = new SchedulerOptions { MaxRunning = 1 };
        });
        using var response = await server.PostAsync(Path, """{"prompt":["a","b","c","d"],"max_tokens":500,"ignore_eos":true}""");
        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        Assert.Equal("false", Assert.Single(response.Headers.GetValues("x-should-retry")));
        Assert.Equal("request_timeout", TestServer.Error(await response.Content.ReadAsStringAsync()).GetProperty("code").GetString());
        await ComplaintTests.Free(server);
    }

    // A stream that is merely closed is a short answer to some clients.
    [Fact]
    public async Task A_stream_that_fails_is_an_event_and_a_broken_connection()
    {
        await using var server = await TestServer.StartAsync(mini.Model, options =>
        {
            options.RequestTimeout = TimeSpan.FromSeconds(0.5);
            options.Scheduler = new SchedulerOptions { MaxRunning = 1 };
        });
        using var response = await server.PostAsync(Path, """{"prompt":["a","b","c","d","e","f"],"max_tokens":500,"ignore_eos":true,"stream":true}""");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        List<string> events = [];
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await foreach (string data in TestServer.ReadAsync(response))
                events.Add(data);
        });
        Assert.Equal("request_timeout", TestServer.Error(events[^1]).GetProperty("code").GetString());
        Assert.DoesNotContain("[DONE]", events);
        await ComplaintTests.Free(server);
    }

    [Fact]
    public async Task Whoever_waits_too_long_in_the_queue_is_told()
    {
        await using var server = await TestServer.StartAsync(mini.Model, options => options.Scheduler = new SchedulerOptions { MaxRunning = 1, QueueTimeout = TimeSpan.FromSeconds(0.05) });
        using var busy = await server.BusyAsync();
        using var response = await server.PostAsync(Path, """{"prompt":"a","stream":true}""");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.NotNull(response.Headers.RetryAfter);
        Assert.Equal("queue_timeout", TestServer.Error(await response.Content.ReadAsStringAsync()).GetProperty("code").GetString());
    }

    // Half a request, or none at all, costs a connection and nothing else.
    [Fact]
    public async Task Connections_that_end_in_the_middle_leave_the_server_as_it_was()
    {
        string[] pieces =
        [
            "GET", "POST /v1/completions HTTP/1.1\r\n", "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{\"prompt\":",
            "POST /v1/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "\0\0\0\0",
        ];
        foreach (string piece in pieces)
        {
            using var client = new TcpClient();
            await client.ConnectAsync(IPAddress.Loopback, mini.Server.Client.BaseAddress!.Port);
            await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(piece));
            client.Client.LingerState = new LingerOption(true, 0);
        }

        await mini.Server.AnswerAsync(Path, """{"prompt":"a","max_tokens":1}""");
        await ComplaintTests.Free(mini.Server);
    }
}
