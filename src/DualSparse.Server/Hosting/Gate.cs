using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace DualSparse.Server;

/// <summary>What every request passes: keys, the time that it may take, figures, and one way in which failures are told.</summary>
internal sealed class Gate(ModelHost host, ServerOptions options, Keys keys, Cors cors, ServerMetrics metrics, ILogger<Gate> log)
{
    private static readonly Action<ILogger, string, Exception?> s_failed =
        LoggerMessage.Define<string>(LogLevel.Error, new EventId(2, "RequestFailed"), "{Request} failed");

    /// <summary>The browser's question before a call.</summary>
    public Task Preflight(HttpContext http) => cors.AnswerAsync(http);

    /// <summary>An endpoint behind the gate.</summary>
    /// <param name="handler">Its work.</param>
    /// <param name="open">Whether it needs no key.</param>
    public RequestDelegate Guard(Func<Call, Task> handler, bool open = false) => async http =>
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted);
        limit.CancelAfter(options.RequestTimeout);
        var call = new Call(http, host, options, limit.Token);
        string id = Ids.New("req_");
        http.Response.Headers["X-Request-Id"] = id;
        cors.Tell(http);
        ApiException? failure = null;
        try
        {
            if (!open)
                keys.Check(http.Request);
            await handler(call).ConfigureAwait(false);
        }
        catch (Exception) when (http.RequestAborted.IsCancellationRequested)
        {
            failure = Errors.Gone();
        }
        catch (Exception e)
        {
            failure = limit.IsCancellationRequested ? Errors.Timeout(options.RequestTimeout) : Errors.Of(e, call.PromptField);
            if (failure.Status == 500)
                s_failed(log, $"{http.Request.Method} {http.Request.Path} ({id})", e);
            await TellAsync(http, failure).ConfigureAwait(false);
        }
        finally
        {
            metrics.Ended(call, failure);
        }
    };

    private async Task TellAsync(HttpContext http, ApiException failure)
    {
        try
        {
            if (http.Response.HasStarted)
                await new SseWriter(http, options.CommentEvery).FailAsync(failure).ConfigureAwait(false);
            else
                await Errors.WriteAsync(http, failure).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            // The client has gone meanwhile.
        }
    }
}
