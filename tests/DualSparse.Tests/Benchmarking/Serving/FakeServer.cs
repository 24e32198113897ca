using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace DualSparse.Tests.Benchmarking.Serving;

/// <summary>What a server does with one request.</summary>
internal enum FakeAnswer
{
    /// <summary>Answers it.</summary>
    Whole,

    /// <summary>429, with a code.</summary>
    Busy,

    /// <summary>503, with a page of text.</summary>
    Page,

    /// <summary>An error amid the stream.</summary>
    Error,

    /// <summary>The connection is gone amid the stream.</summary>
    Broken,

    /// <summary>A stream that ends without a finish reason.</summary>
    Unfinished,
}

/// <summary>A server that answers in OpenAI's form, of tokens that are its words, and tells what it was asked.</summary>
internal sealed class FakeServer : IDisposable
{
    private readonly HttpListener listener = new();
    private readonly Func<int, FakeAnswer> answer;
    private readonly int delay;
    private int number = -1, running;

    /// <summary>Starts it.</summary>
    /// <param name="answer">By the request's number, from 0.</param>
    /// <param name="tokenizes">Whether it has /tokenize.</param>
    /// <param name="delay">Milliseconds from a token to the next.</param>
    public FakeServer(Func<int, FakeAnswer>? answer = null, bool tokenizes = true, int delay = 0)
    {
        (this.answer, Tokenizes, this.delay) = (answer ?? (_ => FakeAnswer.Whole), tokenizes, delay);
        using (var probe = new TcpListener(IPAddress.Loopback, 0))
        {
            probe.Start();
            Url = $"http://127.0.0.1:{((IPEndPoint)probe.LocalEndpoint).Port}";
        }

        listener.Prefixes.Add($"{Url}/");
        listener.Start();
        _ = Task.Run(Listen);
    }

    /// <summary>Its address.</summary>
    public string Url { get; }

    /// <summary>The bodies of requests that generate.</summary>
    public ConcurrentQueue<JsonElement> Asked { get; } = [];

    /// <summary>The most requests that were under way at once.</summary>
    public int MostAtOnce { get; private set; }

    private bool Tokenizes { get; }

    public void Dispose() => listener.Close();

    private async Task Listen()
    {
        while (listener.IsListening)
        {
            try
            {
                var context = await listener.GetContextAsync();
                _ = Task.Run(() => Serve(context));
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task Serve(HttpListenerContext context)
    {
        try
        {
            // A connection that was broken off serves nobody else.
            context.Response.KeepAlive = false;
            using var reader = new StreamReader(context.Request.InputStream, Encoding.UTF8);
            string body = await reader.ReadToEndAsync();
            switch (context.Request.Url!.AbsolutePath)
            {
                case "/v1/models":
                    Send(context, 200, """{"object":"list","data":[{"id":"fake","object":"model","created":1,"owned_by":"tests"}]}""");
                    break;
                case "/tokenize" when Tokenizes:
                    int words = JsonNode.Parse(body)!["prompt"]!.GetValue<string>().Split(' ').Length;
                    Send(context, 200, JsonSerializer.Serialize(new { tokens = Enumerable.Range(0, words), count = words }));
                    break;
                case "/detokenize" when Tokenizes:
                    Send(context, 200, JsonSerializer.Serialize(new { prompt = string.Join(' ', JsonNode.Parse(body)!["tokens"]!.AsArray()) }));
                    break;
                case "/v1/completions" or "/v1/chat/completions":
                    await Generate(context, JsonDocument.Parse(body).RootElement);
                    break;
                default:
                    Send(context, 404, """{"error":{"message":"no"}}""");
                    break;
            }
        }
        catch (Exception e) when (e is HttpListenerException or IOException or ObjectDisposedException or InvalidOperationException)
        {
            // Whoever asked has gone.
        }
    }

    private async Task Generate(HttpListenerContext context, JsonElement asked)
    {
        int request = Interlocked.Increment(ref number);
        Asked.Enqueue(asked);
        lock (listener)
            MostAtOnce = Math.Max(MostAtOnce, ++running);
        try
        {
            switch (answer(request))
            {
                case FakeAnswer.Busy:
                    Send(context, 429, """{"error":{"message":"full","type":"rate_limit_error","param":null,"code":"queue_full"}}""");
                    break;
                case FakeAnswer.Page:
                    Send(context, 503, "<html>");
                    break;
                case var how:
                    await Stream(context, asked, how);
                    break;
            }
        }
        finally
        {
            lock (listener)
                running--;
        }
    }

    private async Task Stream(HttpListenerContext context, JsonElement asked, FakeAnswer how)
    {
        int tokens = asked.GetProperty("max_tokens").GetInt32();
        bool chat = asked.TryGetProperty("messages", out _);
        context.Response.SendChunked = true;
        context.Response.ContentType = "text/event-stream";
        for (int t = 0; t < tokens; t++)
        {
            await Task.Delay(delay);
            Event(chat ? """{"choices":[{"index":0,"delta":{"content":"x "},"finish_reason":null}]}""" : """{"choices":[{"index":0,"text":"x ","finish_reason":null}]}""");
            if (t == 1 && how == FakeAnswer.Error)
                Event("""{"error":{"message":"oh"}}""");
            if (t == 1 && (how is FakeAnswer.Error or FakeAnswer.Broken))
            {
                context.Response.Abort();
                return;
            }
        }

        if (how != FakeAnswer.Unfinished)
            Event(chat ? """{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}""" : """{"choices":[{"index":0,"text":"","finish_reason":"length"}]}""");
        int prompt = !chat && asked.GetProperty("prompt").ValueKind == JsonValueKind.Array ? asked.GetProperty("prompt").GetArrayLength() : 7;
        Event($"{{\"choices\":[],\"usage\":{{\"prompt_tokens\":{prompt},\"completion_tokens\":{tokens},\"prompt_tokens_details\":{{\"cached_tokens\":{prompt / 2}}}}}}}");
        Event("[DONE]");
        context.Response.Close();

        void Event(string data)
        {
            context.Response.OutputStream.Write(Encoding.UTF8.GetBytes($"data: {data}\n\n"));
            context.Response.OutputStream.Flush();
        }
    }

    private static void Send(HttpListenerContext context, int status, string body)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = body[0] == '<' ? "text/html" : "application/json";
        context.Response.Close(Encoding.UTF8.GetBytes(body), willBlock: true);
    }
}
