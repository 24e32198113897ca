using DualSparse.Engine;
using DualSparse.Engine.Serving.Batching;

namespace DualSparse.Server;

/// <summary>How a model is served.</summary>
public sealed class ServerOptions
{
    /// <summary>How the model is loaded and run; its <see cref="EngineOptions.Drop"/> serves requests that don't say theirs.</summary>
    public EngineOptions Engine { get; set; } = new();

    /// <summary>How many requests run and wait.</summary>
    public SchedulerOptions Scheduler { get; set; } = new();

    /// <summary>The model's id in requests and answers; null: its folder's name.</summary>
    public string? Name { get; set; }

    /// <summary>
    /// What is dropped by the model's other ids, for clients that can set nothing but a name: <c>fast</c> stands for <c>NAME:fast</c>.
    /// </summary>
    public IDictionary<string, DropRequest> Aliases { get; } = new Dictionary<string, DropRequest>(StringComparer.Ordinal)
    {
        ["dense"] = DropRequest.None,
        ["fast"] = new DropRequest { Rate = 0.25 },
    };

    /// <summary>Keys of which a request must carry one; empty: none is asked for.</summary>
    public IList<string> ApiKeys { get; } = [];

    /// <summary>The origins whose web pages may call, such as <c>https://chat.example</c>; <c>*</c>: any. Cookies count for nothing here.</summary>
    public IList<string> CorsOrigins { get; } = ["*"];

    /// <summary>The largest body of a request. A context of 128 K tokens is about 0.6 MB of text.</summary>
    public long MaxBodyBytes { get; set; } = 8 << 20;

    /// <summary>The most messages of a conversation.</summary>
    public int MaxMessages { get; set; } = 4096;

    /// <summary>The most prompts of one call of /v1/completions.</summary>
    public int MaxPrompts { get; set; } = 128;

    /// <summary>The longest that a request may take from its arrival to its last token.</summary>
    public TimeSpan RequestTimeout { get; set; } = TimeSpan.FromHours(1);

    /// <summary>How long running requests may go on once the server is asked to stop.</summary>
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>After so long without a token a stream gets a comment, so that nothing on the way takes it for dead.</summary>
    public TimeSpan CommentEvery { get; set; } = TimeSpan.FromSeconds(15);
}
