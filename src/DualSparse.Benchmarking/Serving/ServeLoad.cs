namespace DualSparse.Benchmarking.Serving;

/// <summary>What is asked of a server, and how fast.</summary>
/// <param name="PromptTokens">The length of each prompt.</param>
/// <param name="OutputTokens">Tokens that each request asks for; the model may end sooner where the server can't be told not to.</param>
internal sealed record ServeLoad(int PromptTokens, int OutputTokens)
{
    /// <summary>Requests a second that arrive, by a Poisson process, whether or not earlier ones are answered; null: <see cref="Concurrency"/> of them are always under way.</summary>
    public double? Rate { get; init; }

    /// <summary>Requests under way at any time; each that ends is followed by the next.</summary>
    public int Concurrency { get; init; } = 1;

    /// <summary>Requests to make; null: as many as <see cref="Seconds"/> have room for.</summary>
    public int? Requests { get; init; }

    /// <summary>Seconds in which requests are made; null: until <see cref="Requests"/> are made.</summary>
    public double? Seconds { get; init; }

    /// <summary>Tokens at the beginning of a prompt that others have, too.</summary>
    public int SharedPrefix { get; init; }

    /// <summary>How many different such beginnings there are.</summary>
    public int Prefixes { get; init; } = 1;

    /// <summary>Seconds after which a request is given up.</summary>
    public double TimeoutSeconds { get; init; } = 300;

    /// <summary>Where arrivals and prompts begin to be drawn.</summary>
    public ulong Seed { get; init; }

    /// <summary>The load in a few words.</summary>
    public string Name => Rate is { } rate ? FormattableString.Invariant($"{rate:0.###}/s") : $"{Concurrency} at once";

    /// <summary>Says what makes no sense.</summary>
    /// <exception cref="ArgumentException">The message names the option.</exception>
    public void Check()
    {
        Expect(PromptTokens >= 1, "--prompt-tokens", PromptTokens, "at least 1");
        Expect(OutputTokens >= 1, "--output-tokens", OutputTokens, "at least 1");
        Expect(Rate is null or (> 0 and < 1e6), "--rate", Rate, "requests a second, more than 0");
        Expect(Concurrency is >= 1 and <= MostConnections, "--concurrency", Concurrency, $"1 to {MostConnections}");
        Expect(Requests is null or >= 1, "--requests", Requests, "at least 1");
        Expect(Seconds is null or (> 0 and < 1e6), "--seconds", Seconds, "more than 0");
        Expect(SharedPrefix >= 0 && SharedPrefix < PromptTokens, "--shared-prefix", SharedPrefix, $"0 to below the prompt's {PromptTokens} tokens");
        Expect(Prefixes >= 1, "--prefixes", Prefixes, "at least 1");
        Expect(TimeoutSeconds is > 0 and < 1e6, "--timeout", TimeoutSeconds, "seconds, more than 0");
    }

    // Sockets that a process may usually have open, with room for its files.
    private const int MostConnections = 1000;

    private static void Expect(bool holds, string option, object? value, string expected)
    {
        if (!holds)
            throw new ArgumentException(FormattableString.Invariant($"{option} is {value}, expected {expected}"));
    }
}
