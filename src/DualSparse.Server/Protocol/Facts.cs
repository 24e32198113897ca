namespace DualSparse.Server.Protocol;

/// <summary>The answer of /v1/models.</summary>
internal sealed record ModelList(string Object, IReadOnlyList<ModelEntry> Data);

/// <summary>A model's id and what a client has to know of it. <c>max_model_len</c> is another server's name for the context's length.</summary>
internal sealed record ModelEntry(string Id, string Object, long Created, string OwnedBy, int ContextLength, int MaxModelLen, DialFacts Dualsparse);

/// <summary>The dial as an id sets it, and what each position costs.</summary>
/// <param name="Drop">The share that this id skips; null: as much as <paramref name="MaxKl"/> allows, or thresholds say.</param>
/// <param name="MaxKl">The highest KL that this id allows; null: a share is given.</param>
/// <param name="ExpectedKl">KL to the dense run, nats a token; null: not known.</param>
/// <param name="MaxDrop">The largest share that can be asked for.</param>
/// <param name="Points">The loss at shares that were measured; empty without a dualsparse.json.</param>
internal sealed record DialFacts(double? Drop, double? MaxKl, double? ExpectedKl, double MaxDrop, IReadOnlyList<DialPoint> Points);

/// <summary>The loss at one position of the dial, on held-out text.</summary>
internal sealed record DialPoint(double Drop, double ExpectedKl, double ExpectedFlips);

/// <summary>The answer of /health.</summary>
internal sealed record Health(string Status, string Model, int Running, int Waiting);

/// <summary>The answer of /tokenize.</summary>
internal sealed record Tokenized(IReadOnlyList<int> Tokens, int Count, int MaxModelLen);

/// <summary>The answer of /detokenize and /apply-template.</summary>
internal sealed record PromptText(string Prompt);
