namespace DualSparse.Benchmarking.Serving;

/// <summary>One request and what became of it. Times are seconds since the run began.</summary>
/// <param name="Due">When it was to be sent.</param>
/// <param name="Sent">When it was.</param>
internal sealed record ServeCall(double Due, double Sent)
{
    /// <summary>When text arrived: an event of the stream each, of one token or more.</summary>
    public IReadOnlyList<double> Pieces { get; init; } = [];

    /// <summary>When the answer was whole, or the request failed.</summary>
    public double Ended { get; init; }

    /// <summary>The prompt's tokens, as the server counts them; 0: it doesn't say.</summary>
    public int PromptTokens { get; init; }

    /// <summary>Of these, those that the server had in a cache.</summary>
    public int CachedTokens { get; init; }

    /// <summary>The answer's tokens, as the server counts them; where it doesn't, pieces.</summary>
    public int OutputTokens { get; init; }

    /// <summary>The kind of failure, in a few words that others of its kind share; null: it was answered.</summary>
    public string? Error { get; init; }

    /// <summary>Seconds from sending to the first text; null: there was none.</summary>
    public double? FirstToken => Pieces.Count == 0 ? null : Pieces[0] - Sent;

    /// <summary>Seconds between a piece of text and the next.</summary>
    public IEnumerable<double> Gaps => Pieces.Zip(Pieces.Skip(1), (a, b) => b - a);
}
