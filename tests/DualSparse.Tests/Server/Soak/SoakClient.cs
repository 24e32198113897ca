using System.Collections.Concurrent;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace DualSparse.Tests.Server.Soak;

/// <summary>A client that asks, leaves, and says what no server wants to hear, one after another.</summary>
/// <param name="server">The server.</param>
/// <param name="answers">Requests whose answers are known.</param>
/// <param name="seed">What it does when.</param>
internal sealed class SoakClient(RunningServer server, IReadOnlyList<SoakAnswer> answers, int seed)
{
    // Whatever it is: a request that takes longer hangs.
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(90);

    private static readonly string[] s_hostile =
    [
        "", "{", "[]", "null", "\"\"", "{\"prompt\": 5}", "{\"prompt\": \"x\", \"max_tokens\": -1}", "{\"prompt\": \"x\", \"temperature\": \"hot\"}", "{\"prompt\": [99999999]}", "{\"prompt\": [[]]}",
        "{\"prompt\": \"x\", \"max_tokens\": 1e400}", "{\"prompt\": \"x\", \"n\": 100000}", "{\"prompt\": \"\\ud800\"}", "{\"prompt\": \"x\", \"drop\": 7}", "{\"prompt\": \"x\", \"stop\": [1]}", "{\"messages\": [{}]}",
        new string('[', 5000), "{\"prompt\": \"" + new string('x', 100_000), "\u0000\u0001", "{\"prompt\": \"x\", \"logit_bias\": {\"a\": 1}}",
    ];

    private readonly Random random = new(seed);

    /// <summary>What happened, by kind.</summary>
    public ConcurrentDictionary<string, int> Done { get; } = new(StringComparer.Ordinal);

    /// <summary>What must not have happened.</summary>
    public ConcurrentQueue<string> Wrong { get; } = [];

    /// <summary>Goes on until a time.</summary>
    public async Task RunAsync(DateTime end, CancellationToken cancel)
    {
        while (DateTime.UtcNow < end)
        {
            Func<CancellationToken, Task> act = random.Next(100) switch
            {
                < 55 => AskAsync,
                < 72 => LeaveAsync,
                < 80 => HangUpAsync,
                < 88 => AskTooMuchAsync,
                _ => InsultAsync,
            };
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            limit.CancelAfter(s_limit);
            try
            {
                await act(limit.Token);
                Done.AddOrUpdate(act.Method.Name, 1, (_, n) => n + 1);
            }
            catch (Exception e) when (!cancel.IsCancellationRequested)
            {
                Wrong.Enqueue($"{act.Method.Name}: {(e is OperationCanceledException ? $"not over after {s_limit.TotalSeconds} s" : e.Message)}");
            }
        }
    }

    /// <summary>Asks for an answer that is known, in one piece or as a stream, and reads it.</summary>
    public Task AskAsync(CancellationToken cancel) => AskAsync(answers[random.Next(answers.Count)], null, cancel);

    /// <summary>The same for a given one.</summary>
    /// <param name="answer">The answer.</param>
    /// <param name="begun">Completes with the first piece of a stream; null: it may be no stream.</param>
    /// <param name="cancel">Gives up.</param>
    public async Task AskAsync(SoakAnswer answer, TaskCompletionSource? begun, CancellationToken cancel)
    {
        bool chat = random.Next(2) == 0, stream = begun is not null || random.Next(2) == 0;
        using var response = await SendAsync(Body(answer, chat, stream), chat, cancel);
        if (!response.IsSuccessStatusCode)
            throw new InvalidDataException($"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync(cancel)}");
        string text = "";
        if (stream)
        {
            bool finished = false, done = false;
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancel));
            while (await reader.ReadLineAsync(cancel) is { } line)
            {
                if (!line.StartsWith("data: ", StringComparison.Ordinal))
                    continue;
                begun?.TrySetResult();
                if (line == "data: [DONE]")
                {
                    done = true;
                    break;
                }

                var root = JsonElement.Parse(line[6..]);
                if (root.TryGetProperty("error", out var error))
                    throw new InvalidDataException($"an error in the stream: {error.GetRawText()}");
                var choice = root.GetProperty("choices")[0];
                var piece = chat ? choice.GetProperty("delta") : choice;
                if (piece.TryGetProperty(chat ? "content" : "text", out var part) && part.ValueKind == JsonValueKind.String)
                    text += part.GetString();
                finished |= choice.GetProperty("finish_reason").ValueKind == JsonValueKind.String;
            }

            if (!finished || !done)
                throw new InvalidDataException("a stream ended before its end");
        }
        else
        {
            var choice = (await response.Content.ReadFromJsonAsync<JsonElement>(cancel)).GetProperty("choices")[0];
            text = (chat ? choice.GetProperty("message").GetProperty("content") : choice.GetProperty("text")).GetString()!;
        }

        if (text != answer.Text)
            throw new InvalidDataException($"'{answer.Prompt[^Math.Min(20, answer.Prompt.Length)..]}', {answer.Tokens} tokens, drop {answer.Drop}, {(chat ? "chat" : "text")}{(stream ? ", stream" : "")}: '{text}', expected '{answer.Text}'");
    }

    // Reads some of a stream, or waits a moment for the answer, and goes.
    private async Task LeaveAsync(CancellationToken cancel)
    {
        bool stream = random.Next(3) > 0;
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        try
        {
            var answer = answers[random.Next(answers.Count)] with { Tokens = 300 };
            if (!stream)
                leave.CancelAfter(random.Next(1, 60));
            using var response = await SendAsync(Body(answer, false, stream), false, leave.Token);
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(leave.Token));
            for (int lines = random.Next(30); lines > 0 && await reader.ReadLineAsync(leave.Token) is not null; lines--)
            {
            }

            await leave.CancelAsync();
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            // That was the point.
        }
    }

    // A connection that ends amid the request, or right behind it.
    private async Task HangUpAsync(CancellationToken cancel)
    {
        using var socket = new TcpClient();
        var url = new Uri(server.Url);
        await socket.ConnectAsync(url.Host, url.Port, cancel);
        byte[] request = Raw(Body(answers[random.Next(answers.Count)], false, random.Next(2) == 0).ToJsonString());
        int length = random.Next(3) == 0 ? random.Next(request.Length) : request.Length;
        await socket.GetStream().WriteAsync(request.AsMemory(0, length), cancel);
        await Task.Delay(random.Next(20), cancel);
        // Not closed politely, but reset.
        if (random.Next(2) == 0)
            socket.LingerState = new LingerOption(true, 0);
    }

    // More than the context holds.
    private async Task AskTooMuchAsync(CancellationToken cancel)
    {
        bool chat = random.Next(2) == 0;
        var body = Body(new SoakAnswer(string.Concat(Enumerable.Repeat("more and more ", 600)), 4, 0, ""), chat, random.Next(2) == 0);
        using var response = await SendAsync(body, chat, cancel);
        string text = await response.Content.ReadAsStringAsync(cancel);
        if ((int)response.StatusCode != 400 || !text.Contains("context_length_exceeded", StringComparison.Ordinal))
            throw new InvalidDataException($"{(int)response.StatusCode} {text}");
    }

    private async Task InsultAsync(CancellationToken cancel)
    {
        string body = s_hostile[random.Next(s_hostile.Length)];
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await server.Http.PostAsync($"{server.Base}/{(random.Next(2) == 0 ? "completions" : "chat/completions")}", content, cancel);
        string text = await response.Content.ReadAsStringAsync(cancel);
        if ((int)response.StatusCode is < 400 or >= 500 || !JsonElement.Parse(text).TryGetProperty("error", out _))
            throw new InvalidDataException($"{(int)response.StatusCode} {text} for {body[..Math.Min(40, body.Length)]}");
    }

    private Task<HttpResponseMessage> SendAsync(JsonObject body, bool chat, CancellationToken cancel)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, $"{server.Base}/{(chat ? "chat/completions" : "completions")}") { Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json") };
        return server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel);
    }

    private static JsonObject Body(SoakAnswer answer, bool chat, bool stream)
    {
        var body = new JsonObject { ["max_tokens"] = answer.Tokens, ["temperature"] = 0, ["ignore_eos"] = true, ["drop"] = answer.Drop, ["stream"] = stream };
        if (chat)
            body["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = answer.Prompt });
        else
            body["prompt"] = answer.Prompt;
        return body;
    }

    private static byte[] Raw(string body) => Encoding.UTF8.GetBytes(
        $"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}");
}
