namespace DualSparse.Engine.Moe.Drop;

/// <summary>
/// One text under a drop: the plan, the thresholds that it has come to, and the work counted. It changes when a pass over the text has
/// succeeded, and only then. Sequences that are one text, one after another, share it; side by side each takes a <see cref="Part"/>. Not for
/// concurrent use.
/// </summary>
internal sealed class TextDrop
{
    private readonly DropCounts[] counts;
    private RateFollower? follower;

    /// <summary>An empty text.</summary>
    /// <param name="plan">What is left out.</param>
    /// <param name="layers">The model's layers.</param>
    public TextDrop(DropPlan plan, int layers)
    {
        counts = new DropCounts[layers];
        Plan = plan;
    }

    /// <summary>What is left out, from the next pass on: thresholds that have moved with the text stay where they are if the new ones move along the same method.</summary>
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

    /// <summary>By layer, the routed experts' work.</summary>
    public IReadOnlyList<DropCounts> Layers => counts;

    /// <summary>The same, all layers together.</summary>
    public DropCounts Counts => counts.Aggregate((sum, layer) => sum + layer);

    /// <summary>The loss that dualsparse.json lets expect of the thresholds taken so far; null where nothing is dropped, it says nothing, or prompt and generated tokens have one each.</summary>
    public LossToExpect? Expected => follower is null ? Plan.Expected : Plan.FollowsAll ? follower.Expected : null;

    /// <summary>Where the next tokens' thresholds come from.</summary>
    public IThresholdSource Thresholds => (IThresholdSource?)follower ?? FixedThresholds.Instance;

    /// <summary>Tokens that the thresholds have moved with.</summary>
    public int Followed => follower?.Length ?? 0;

    /// <summary>Forgets what a pass that failed has shown.</summary>
    public void Begin() => follower?.Truncate(follower.Length);

    /// <summary>Takes a pass's tokens in.</summary>
    /// <param name="tokens">How many.</param>
    /// <param name="work">By layer, the routed experts' work.</param>
    public void Commit(int tokens, ReadOnlySpan<DropCounts> work)
    {
        follower?.Commit(tokens);
        for (int l = 0; l < counts.Length; l++)
            counts[l] += work[l];
    }

    /// <summary>Forgets what was seen of all but the first <paramref name="followed"/> of the tokens that the thresholds have moved with; work done stays counted.</summary>
    public void Truncate(int followed) => follower?.Truncate(followed);

    /// <summary>A sequence of this text beside others of it: it begins with the thresholds that the text has come to. The text itself mustn't go on before all parts have joined.</summary>
    public TextDrop Part()
    {
        Begin();
        return new TextDrop(Plan, counts.Length) { follower = follower?.Part() };
    }

    /// <summary>Takes in what a part has seen and done.</summary>
    public void Join(TextDrop part)
    {
        if (part.follower is { } seen)
            follower!.Join(seen);
        for (int l = 0; l < counts.Length; l++)
            counts[l] += part.counts[l];
    }
}
