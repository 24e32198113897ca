using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using DualSparse.Server.Protocol;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace DualSparse.Server;

/// <summary>
/// A stream of server-sent events: <c>data:</c> lines, comments while nothing comes, <c>[DONE]</c>. What fails after the first byte is an event and
/// an aborted connection: a stream that is merely closed looks to some clients like a short answer.
/// </summary>
/// <param name="http">The request.</param>
/// <param name="patience">After so long without an event a comment is sent.</param>
internal sealed class SseWriter(HttpContext http, TimeSpan patience)
{
    // What was written is sent by another thread, which an abort would overtake; a client's way home is no longer.
    private static readonly TimeSpan s_sent = TimeSpan.FromMilliseconds(100);

    private Stream Output => http.Response.Body;

    /// <summary>Sends the headers; from here on the status can't be changed.</summary>
    public Task StartAsync(CancellationToken cancel)
    {
        http.Response.ContentType = "text/event-stream; charset=utf-8";
        http.Response.Headers.CacheControl = "no-cache";
        // Proxies that collect an answer before they pass it on are asked not to.
        http.Response.Headers["X-Accel-Buffering"] = "no";
        http.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        return http.Response.StartAsync(cancel);
    }

    /// <summary>Sends an event.</summary>
    public async Task SendAsync<T>(T value, JsonTypeInfo<T> how, CancellationToken cancel)
    {
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(value, how);
        byte[] line = new byte[json.Length + 8];
        "data: "u8.CopyTo(line);
        json.CopyTo(line, 6);
        "\n\n"u8.CopyTo(line.AsSpan(^2));
        await WriteAsync(line, cancel).ConfigureAwait(false);
    }

    /// <summary>Ends the stream.</summary>
    public Task DoneAsync(CancellationToken cancel) => WriteAsync("data: [DONE]\n\n"u8.ToArray(), cancel);

    /// <summary>Tells a failure and breaks the connection.</summary>
    public async Task FailAsync(ApiException error)
    {
        try
        {
            // A reader that takes nothing mustn't keep this from ending.
            using var brief = new CancellationTokenSource(TimeSpan.FromSeconds(1));
            await SendAsync(error.Body, ServerJson.Own.ErrorBody, brief.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            // It has gone already.
        }

        await Task.Delay(s_sent).ConfigureAwait(false);
        http.Abort();
    }

    /// <summary>The same elements, with comments in the stream while none comes.</summary>
    public async IAsyncEnumerable<T> WithCommentsAsync<T>(IAsyncEnumerable<T> source, [EnumeratorCancellation] CancellationToken cancel)
    {
        using var own = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        await using var items = source.GetAsyncEnumerator(own.Token);
        while (true)
        {
            var next = items.MoveNextAsync().AsTask();
            await CommentAsync(next, own).ConfigureAwait(false);
            if (!await next.ConfigureAwait(false))
                yield break;
            yield return items.Current;
        }
    }

    // Comments until the element has come. An element under way is waited for whatever happens: its source can't be left before.
    private async Task CommentAsync(Task next, CancellationTokenSource source)
    {
        try
        {
            while (!next.IsCompleted)
            {
                using var rest = new CancellationTokenSource();
                var pause = Task.Delay(patience, rest.Token);
                if (await Task.WhenAny(next, pause).ConfigureAwait(false) == pause)
                    await WriteAsync(": waiting\n\n"u8.ToArray(), source.Token).ConfigureAwait(false);
                await rest.CancelAsync().ConfigureAwait(false);
            }
        }
        catch
        {
            await source.CancelAsync().ConfigureAwait(false);
            await next.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw;
        }
    }

    private async Task WriteAsync(byte[] bytes, CancellationToken cancel)
    {
        await Output.WriteAsync(bytes, cancel).ConfigureAwait(false);
        await Output.FlushAsync(cancel).ConfigureAwait(false);
    }
}
