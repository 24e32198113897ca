using DualSparse.Engine.Serving.Batching;
using DualSparse.Models;
using DualSparse.Server.Protocol;
using Microsoft.AspNetCore.Http;

namespace DualSparse.Server;

/// <summary>A request's failure as its client is told it: a status and OpenAI's error object.</summary>
internal sealed class ApiException(int status, string type, string? code, string message, string? param = null, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>The HTTP status.</summary>
    public int Status => status;

    /// <summary>After how long it is worth another try; null: not said.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Whether the same request would fail the same way again.</summary>
    public bool Final { get; init; }

    /// <summary>What the error's object says beside its four fields.</summary>
    public (int PromptTokens, int ContextTokens)? Counts { get; init; }

    /// <summary>The machine-readable reason.</summary>
    public string? Code => code;

    /// <summary>The body.</summary>
    public ErrorBody Body => new(new ErrorDetail(Message, type, param, code) { PromptTokens = Counts?.PromptTokens, ContextTokens = Counts?.ContextTokens });
}

/// <summary>From what went wrong to what a client is told.</summary>
internal static class Errors
{
    private const string Request = "invalid_request_error";

    // How long a load or a restart takes, roughly; clients try again by themselves.
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(5);

    /// <summary>Something about the request is not as it must be.</summary>
    public static ApiException Invalid(string message, string? param, string? code = null, Exception? inner = null) => new(400, Request, code, message, param, inner);

    /// <summary>A field asks for what isn't there yet and would change the answer.</summary>
    public static ApiException Unsupported(string param, string message) => Invalid(message, param, "unsupported_parameter");

    /// <summary>There is no such thing.</summary>
    public static ApiException NotFound(string message, string? code, string? param = null) => new(404, Request, code, message, param);

    /// <summary>The body is too long.</summary>
    public static ApiException TooLarge(long limit) => new(413, Request, "request_too_large", $"the request's body is larger than {limit} bytes, the most that this server takes");

    /// <summary>The key is missing or unknown.</summary>
    public static ApiException Unauthorized(bool given) => new(401, "authentication_error", "invalid_api_key", given
        ? "the API key is not one of this server's"
        : "an API key is needed: send 'Authorization: Bearer KEY' or 'X-Api-Key: KEY'");

    /// <summary>The model isn't loaded yet.</summary>
    public static ApiException Loading(string what) => new(503, "unavailable_error", "loading", what) { RetryAfter = s_soon };

    /// <summary>The server is about to stop.</summary>
    public static ApiException Draining(string message = "no more requests are taken: the server is about to stop") => new(503, "unavailable_error", "draining", message) { RetryAfter = s_soon };

    /// <summary>The model can't go on.</summary>
    public static ApiException Broken(string why) => new(503, "unavailable_error", "model_failed", $"the model can't go on: {why}; restart the server");

    /// <summary>A request took longer than it may.</summary>
    public static ApiException Timeout(TimeSpan limit) => new(504, "timeout_error", "request_timeout", $"the request took longer than {limit.TotalSeconds:0.###} s, the most that this server gives one") { Final = true };

    /// <summary>The client has left: nobody reads the answer, figures count it.</summary>
    public static ApiException Gone() => new(499, "cancelled", "cancelled", "the client has gone");

    /// <summary>What any failure is to the client.</summary>
    /// <param name="e">The failure.</param>
    /// <param name="prompt">The field that holds the prompt.</param>
    public static ApiException Of(Exception e, string? prompt) => e switch
    {
        ApiException own => own,
        ContextLengthException length => new(400, Request, "context_length_exceeded",
            $"the prompt has {length.PromptTokens} tokens, and the model's context has {length.ContextTokens}, of which at least one must be left for the answer: shorten it", prompt)
        {
            Counts = (length.PromptTokens, length.ContextTokens),
        },
        QueueFullException full => new(429, "rate_limit_error", "queue_full", full.Message) { RetryAfter = full.RetryAfter },
        DrainingException => Draining(e.Message),
        InsufficientMemoryException => new(503, "unavailable_error", "out_of_memory", e.Message) { RetryAfter = s_soon },
        TimeoutException => new(503, "unavailable_error", "queue_timeout", e.Message) { RetryAfter = s_soon },
        ModelFormatException => Invalid(Sentence(e), null, "model_refuses", e),
        ArgumentException => Invalid(Sentence(e), null, null, e),
        BadHttpRequestException bad => new(bad.StatusCode, Request, null, Sentence(e)),
        _ => new(500, "server_error", "internal_error", "the server failed at this request; its log says how", null, e),
    };

    /// <summary>Answers with a failure.</summary>
    public static async Task WriteAsync(HttpContext http, ApiException error)
    {
        http.Response.StatusCode = error.Status;
        if (error.RetryAfter is { } after)
            http.Response.Headers.RetryAfter = $"{Math.Max(1, (int)Math.Ceiling(after.TotalSeconds))}";
        // Clients of OpenAI try a failed request again unless told otherwise.
        if (error.Final)
            http.Response.Headers["x-should-retry"] = "false";
        // What is left of a body that is too long isn't waited for.
        if (error.Status == 413)
            http.Response.Headers.Connection = "close";
        if (error.Status == 401)
            http.Response.Headers.WWWAuthenticate = "Bearer";
        await Json.WriteAsync(http, error.Body, ServerJson.Own.ErrorBody).ConfigureAwait(false);
    }

    // Without what the framework adds.
    private static string Sentence(Exception e)
    {
        string line = e.Message.Split('\n')[0].TrimEnd('\r', '.');
        int parameter = line.IndexOf(" (Parameter '", StringComparison.Ordinal);
        return parameter < 0 ? line : line[..parameter];
    }
}
