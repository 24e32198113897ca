namespace DualSparse.Engine.Serving.Batching;

/// <summary>Limits of a <see cref="Scheduler"/>.</summary>
public sealed record SchedulerOptions
{
    /// <summary>Texts that run at a time.</summary>
    public int MaxRunning { get; init; } = 24;

    /// <summary>Requests that may wait for a place.</summary>
    public int MaxQueued { get; init; } = 256;

    /// <summary>Prompt tokens of waiting requests; null: any number.</summary>
    public int? MaxQueuedTokens { get; init; }

    /// <summary>How long a request may wait; null: for ever.</summary>
    public TimeSpan? QueueTimeout { get; init; }

    /// <summary>Tokens that a text's context can hold; null: the model's longest, or what <see cref="CacheBytes"/> holds.</summary>
    public int? ContextTokens { get; init; }

    /// <summary>
    /// Memory for the keys and values of all texts, and of those that have ended and may be gone on from; null: what
    /// <see cref="MaxRunning"/> longest contexts need, and at most half of what is free.
    /// </summary>
    public long? CacheBytes { get; init; }

    /// <summary>Whether work on a common beginning is shared between requests.</summary>
    public bool SharePrefixes { get; init; } = true;

    /// <summary>
    /// How long a step with parts of prompts in it may take, in times of one with the running texts' single tokens alone: what a long prompt
    /// costs the others.
    /// </summary>
    public double Stretch { get; init; } = 2;

    /// <summary>Throws if a value makes no sense.</summary>
    /// <exception cref="ArgumentException">The message names the option, its value and what was expected.</exception>
    public void Check()
    {
        Expect(MaxRunning >= 1, "max-running", MaxRunning, "at least 1");
        Expect(MaxQueued >= 0, "max-queued", MaxQueued, "at least 0");
        Expect(MaxQueuedTokens is null or >= 1, "max-queued-tokens", MaxQueuedTokens, "at least 1");
        Expect(QueueTimeout is null || QueueTimeout > TimeSpan.Zero, "queue-timeout", QueueTimeout, "more than 0");
        Expect(ContextTokens is null or >= 1, "context", ContextTokens, "at least 1");
        Expect(CacheBytes is null or >= 1, "cache-bytes", CacheBytes, "at least 1");
        Expect(Stretch is > 1 and <= 1000, "stretch", Stretch, "more than 1, at most 1000");
    }

    private static void Expect(bool holds, string name, object? value, string expected)
    {
        if (!holds)
            throw new ArgumentException($"{name} is {value}, expected {expected}");
    }
}

/// <summary>A scheduler at one moment, and what it has done so far.</summary>
public sealed record SchedulerState
{
    /// <summary>Texts that run.</summary>
    public int Running { get; init; }

    /// <summary>Requests that wait.</summary>
    public int Waiting { get; init; }

    /// <summary>Their prompts' tokens.</summary>
    public int WaitingTokens { get; init; }

    /// <summary>Pages of 128 positions that texts hold, and those kept for texts to come.</summary>
    public int PagesUsed { get; init; }

    /// <summary>Of these, those kept for texts to come alone.</summary>
    public int PagesKept { get; init; }

    /// <summary>The most pages.</summary>
    public int PagesTotal { get; init; }

    /// <summary>Passes through the model.</summary>
    public long Steps { get; init; }

    /// <summary>Prompt tokens of requests that left the queue.</summary>
    public long PromptTokens { get; init; }

    /// <summary>Of these, those whose work had been done.</summary>
    public long CachedTokens { get; init; }

    /// <summary>Tokens generated.</summary>
    public long GeneratedTokens { get; init; }

    /// <summary>Texts that gave their pages up and were computed again.</summary>
    public long Preempted { get; init; }

    /// <summary>Whether no more requests are taken.</summary>
    public bool Draining { get; init; }

    /// <summary>Why the model can't go on; null: it can.</summary>
    public string? Failure { get; init; }
}
