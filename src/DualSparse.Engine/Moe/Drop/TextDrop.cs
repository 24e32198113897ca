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
                follower = value.Followed is { } method ? new RateFollower(method) : null;
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
    public ExpectedLoss? Expected => follower is null ? Plan.Expected : Plan.AllAdaptive ? follower.Expected : null;

    /// <summary>The source of the next tokens' thresholds.</summary>
    public IThresholdSource Thresholds => (IThresholdSource?)follower ?? FixedThresholds.Instance;

    /// <summary>The number of tokens that the thresholds have adapted to.</summary>
    public int Followed => follower?.Length ?? 0;

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

    /// <summary>
    /// Removes all but the first <paramref name="followed"/> of the tokens that the thresholds have adapted to; work done stays counted.
    /// </summary>
    public void Truncate(int followed) => follower?.Truncate(followed);

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
}
