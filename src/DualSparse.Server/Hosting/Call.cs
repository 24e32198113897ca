using System.Diagnostics;
using Microsoft.AspNetCore.Http;

namespace DualSparse.Server;

/// <summary>One request on its way.</summary>
/// <param name="http">The request and its answer.</param>
/// <param name="host">The model.</param>
/// <param name="options">How it is served.</param>
/// <param name="cancel">Is cancelled when the client has gone or the request took too long.</param>
internal sealed class Call(HttpContext http, ModelHost host, ServerOptions options, CancellationToken cancel)
{
    private readonly long arrived = Stopwatch.GetTimestamp();

    /// <summary>The request and its answer.</summary>
    public HttpContext Http => http;

    /// <summary>How it is served.</summary>
    public ServerOptions Options => options;

    /// <summary>Is cancelled when the client has gone or the request took too long.</summary>
    public CancellationToken Cancel => cancel;

    /// <summary>The model.</summary>
    public ModelHost Host => host;

    /// <summary>The field that holds the prompt, for messages.</summary>
    public string? PromptField { get; set; }

    /// <summary>What figures call it; null: it generates nothing.</summary>
    public string? Operation { get; set; }

    /// <summary>The id of the model that it asked for.</summary>
    public string? Model { get; set; }

    /// <summary>What was generated, once it was.</summary>
    public GeneratedUsage? Used { get; set; }

    /// <summary>From its arrival to the first token; null: there was none.</summary>
    public TimeSpan? FirstToken { get; private set; }

    /// <summary>Since its arrival.</summary>
    public TimeSpan Elapsed => Stopwatch.GetElapsedTime(arrived);

    /// <summary>Takes the time of the first token.</summary>
    public void TokenCame() => FirstToken ??= Elapsed;
}
