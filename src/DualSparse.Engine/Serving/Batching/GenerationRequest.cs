using DualSparse.Models.Pictures;

namespace DualSparse.Engine.Serving.Batching;

/// <summary>A prompt, and how to go on from it: what a <see cref="Scheduler"/> takes.</summary>
public sealed record GenerationRequest
{
    /// <summary>Token ids, at least one.</summary>
    public required ReadOnlyMemory<int> Prompt { get; init; }

    /// <summary>The pictures that some of the prompt's tokens stand for.</summary>
    internal IReadOnlyList<PicturePatches> Pictures { get; init; } = [];

    /// <summary>How text is generated; null: as the checkpoint wants it.</summary>
    public GenerationOptions? Options { get; init; }

    /// <summary>How many texts to generate. They share the prompt's work; the first draws from the seed, the second from the seed + 1, ….</summary>
    public int Choices { get; init; } = 1;

    /// <summary>What the routed experts leave out; null: <see cref="EngineOptions.Drop"/>.</summary>
    public DropRequest? Drop { get; init; }

    /// <summary>Requests share the work on a common beginning only with those of the same salt.</summary>
    public string CacheSalt { get; init; } = "";

    /// <summary>Null: none; 0: each prompt token's own log-probability; n: also those of the n most probable tokens in its place.</summary>
    public int? PromptLogProbs { get; init; }
}

/// <summary>A token of one of a request's texts.</summary>
/// <param name="Choice">Which text, from 0.</param>
/// <param name="Token">The token.</param>
public readonly record struct ChoiceToken(int Choice, GeneratedToken Token);

/// <summary>A token of a prompt.</summary>
/// <param name="Id">The token.</param>
/// <param name="LogProb">The natural logarithm of its probability after the tokens before it; null for the first.</param>
/// <param name="Best">The most probable tokens in its place, best first.</param>
public sealed record PromptToken(int Id, float? LogProb, IReadOnlyList<TokenLogProb> Best);

/// <summary>What a request has taken.</summary>
/// <param name="PromptTokens">The prompt's tokens.</param>
/// <param name="CachedTokens">Of these, those whose work another request had done.</param>
/// <param name="GeneratedTokens">Tokens generated, of all texts.</param>
/// <param name="Dropped">The routed experts' work, and what was left out of it.</param>
/// <param name="Expected">The loss that dualsparse.json lets expect of it, the first text's; null where nothing is dropped, or it says nothing.</param>
/// <param name="QueueTime">From its arrival until it left the queue.</param>
/// <param name="FirstTokenTime">From its arrival until its first token.</param>
/// <param name="TotalTime">From its arrival until its last.</param>
/// <param name="Seed">Where the first text's random numbers started.</param>
public sealed record RequestUsage(
    int PromptTokens, int CachedTokens, int GeneratedTokens, DropCounts Dropped, ExpectedLoss? Expected, TimeSpan QueueTime, TimeSpan FirstTokenTime, TimeSpan TotalTime, ulong Seed);
