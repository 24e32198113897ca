using System.Text.Json;

namespace DualSparse.Tests.Server.Sdk;

/// <summary>What a client is asked to do.</summary>
/// <param name="Check">chat, stream, tool, refuse, broken, cancel or dial.</param>
/// <param name="Url">The server, as clients want it.</param>
/// <param name="Prompt">A user's message.</param>
internal sealed record SdkCheck(string Check, string Url, string Prompt)
{
    /// <summary>The model.</summary>
    public string Model { get; init; } = SdkServers.Model;

    /// <summary>The key.</summary>
    public string Key { get; init; } = SdkServers.Key;

    /// <summary>The most tokens of an answer.</summary>
    public int MaxTokens { get; init; } = 64;

    /// <summary>The dial.</summary>
    public double Drop { get; init; }
}

/// <summary>A client of OpenAI's interface that tells what it makes of a server's answers, in the same words as the others.</summary>
internal interface ISdk
{
    /// <summary>Does it.</summary>
    /// <param name="check">What.</param>
    /// <param name="started">Called when the first text of an answer is there that is going to be broken off.</param>
    /// <param name="cancel">Gives up.</param>
    Task<JsonElement> RunAsync(SdkCheck check, Func<Task> started, CancellationToken cancel);
}
