using Microsoft.AspNetCore.Http;

namespace DualSparse.Server;

/// <summary>Which web pages may call: a browser asks before it lets them.</summary>
/// <param name="origins">Theirs; <c>*</c>: any.</param>
internal sealed class Cors(IList<string> origins)
{
    // A day: the answer doesn't change while the server runs.
    private const string MaxAge = "86400";

    /// <summary>Tells the browser whether the page may see the answer.</summary>
    public void Tell(HttpContext http)
    {
        string? origin = http.Request.Headers.Origin;
        if (string.IsNullOrEmpty(origin))
            return;
        bool any = origins.Contains("*");
        if (!any)
            http.Response.Headers.Append("Vary", "Origin");
        if (!any && !origins.Contains(origin, StringComparer.OrdinalIgnoreCase))
            return;
        http.Response.Headers.AccessControlAllowOrigin = any ? "*" : origin;
        http.Response.Headers.AccessControlExposeHeaders = $"{Dial.DropHeader}, {Dial.ExpectedHeader}, Retry-After, X-Request-Id";
    }

    /// <summary>Answers a browser that asks whether a page may call.</summary>
    public Task AnswerAsync(HttpContext http)
    {
        Tell(http);
        http.Response.Headers.AccessControlAllowMethods = "GET, POST";
        http.Response.Headers.AccessControlAllowHeaders = http.Request.Headers.AccessControlRequestHeaders is { Count: > 0 } asked ? asked : "Authorization, Content-Type";
        http.Response.Headers.AccessControlMaxAge = MaxAge;
        http.Response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    }
}
