namespace DualSparse.Engine.Moe.Drop;

/// <summary>
/// The drop's state for one text: the plan, the adapted thresholds, and the work counted. It changes only when a pass over the text has
/// succeeded. Sequences that are one text, one after another, share it; if they run side by side, each has a <see cref="Part"/>. Not for
/// concurrent use.
/// </summary>
internal sealed class TextDrop
{
    private readonly DropCounts[] counts;
    private RateFollower? follower;
    private Elsewhere? elsewhere;

    /// <summary>An empty text.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="layers">The number of the model's layers.</param>
    public TextDrop(DropPlan plan, int layers)
    {
        counts = new DropCounts[layers];
        Plan = plan;
    }

    /// <summary>The plan, from the next pass on. Adapted thresholds are kept if the new plan has the same method.</summary>
    public DropPlan Plan
    {
        get;
        set
        {
            if (value.Followed != follower?.Method)
                (elsewhere, follower) = (null, value.Followed is { } method ? new RateFollower(method) : null);
            field = value;
        }
    }

    /// <summary>The text that this is a part of; null: none.</summary>
    public TextDrop? Parent { get; private init; }

    /// <summary>Called as a part joins a text, with both; null: nobody asks.</summary>
    public Action<TextDrop, TextDrop>? Joined { get; init; }

    /// <summary>By layer, the routed experts' work.</summary>
    public IReadOnlyList<DropCounts> Layers => counts;

    /// <summary>The same, summed over layers.</summary>
    public DropCounts Counts => counts.Aggregate((sum, layer) => sum + layer);

    /// <summary>
    /// The expected loss of the thresholds used so far, by dualsparse.json; null if nothing is dropped, it isn't known, or prompt and
    /// generated tokens differ.
    /// </summary>
    public ExpectedLoss? Expected => follower is null ? Plan.Expected : !Plan.AllAdaptive ? null : elsewhere is { } other ? other.Expected : follower.Expected;

    /// <summary>The source of the next tokens' thresholds.</summary>
    public IThresholdSource Thresholds => (IThresholdSource?)follower ?? FixedThresholds.Instance;

    /// <summary>The number of tokens that the thresholds have adapted to.</summary>
    public int Followed => elsewhere?.Followed ?? follower?.Length ?? 0;

    /// <summary>Discards what a pass that failed has observed.</summary>
    public void Begin() => follower?.Truncate(follower.Length);

    /// <summary>Counts the tokens of a pass that succeeded.</summary>
    /// <param name="tokens">The number of tokens.</param>
    /// <param name="work">By layer, the routed experts' work.</param>
    public void Commit(int tokens, ReadOnlySpan<DropCounts> work)
    {
        follower?.Commit(tokens);
        for (int l = 0; l < counts.Length; l++)
            counts[l] += work[l];
    }

    /// <summary>Counts the tokens of a pass that another process has run over this text.</summary>
    /// <param name="tokens">The number of tokens.</param>
    /// <param name="work">By layer, the routed experts' work.</param>
    /// <param name="expected">What <see cref="Expected"/> is there.</param>
    public void CommitElsewhere(int tokens, ReadOnlySpan<DropCounts> work, ExpectedLoss? expected)
    {
        elsewhere = new Elsewhere(Followed + (follower is null ? 0 : tokens), expected);
        for (int l = 0; l < counts.Length; l++)
            counts[l] += work[l];
    }

    /// <summary>
    /// Removes all but the first <paramref name="followed"/> of the tokens that the thresholds have adapted to; work done stays counted.
    /// </summary>
    public void Truncate(int followed)
    {
        if (elsewhere is { } other)
            elsewhere = other with { Followed = Math.Min(other.Followed, followed) };
        else
            follower?.Truncate(followed);
    }

    /// <summary>By layer, what adapted thresholds have observed of some tokens; null: they don't adapt.</summary>
    public ObservedQuantiles?[]? Observed(int from, int count) => follower?.Observed(from, count);

    /// <summary>Appends what another text with the same plan and beginning has observed of its next tokens; no work is counted.</summary>
    /// <param name="observed">Of a run of tokens; null: nothing, as thresholds don't adapt.</param>
    /// <param name="tokens">Those of them that are appended.</param>
    public void Append(ObservedQuantiles?[]? observed, int tokens)
    {
        if (observed is not null)
            follower?.Append(observed, tokens);
    }

    /// <summary>
    /// A sequence of this text beside others of it, which starts with the text's adapted thresholds. The text itself mustn't continue
    /// before all parts have joined.
    /// </summary>
    public TextDrop Part()
    {
        Begin();
        return new TextDrop(Plan, counts.Length) { follower = follower?.Part(), Parent = this, Joined = Joined };
    }

    /// <summary>Adds a part's tokens and work.</summary>
    public void Join(TextDrop part)
    {
        if (part.follower is { } other)
            follower!.Join(other);
        for (int l = 0; l < counts.Length; l++)
            counts[l] += part.counts[l];
        Joined?.Invoke(this, part);
    }

    // What is known of a text whose thresholds another process has.
    private readonly record struct Elsewhere(int Followed, ExpectedLoss? Expected);
}
