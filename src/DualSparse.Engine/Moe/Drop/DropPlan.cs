namespace DualSparse.Engine.Moe.Drop;

/// <summary>
/// A <see cref="DropRequest"/> resolved for one model: a rule for each layer, for prompt and for generated tokens. Immutable; any number of
/// texts share it.
/// </summary>
internal sealed class DropPlan
{
    private readonly LayerRule?[] promptRules;
    private readonly LayerRule?[] generatedRules;
    private readonly IReadOnlyList<Compensation?>? means;

    /// <summary>Creates a plan; see <see cref="DropPlanner"/>.</summary>
    /// <param name="request">The request.</param>
    /// <param name="promptRules">By layer, the rule of a prompt's tokens; null: nothing is dropped.</param>
    /// <param name="generatedRules">By layer, the rule of generated tokens.</param>
    /// <param name="means">By layer, the mean compensation; null: none.</param>
    /// <param name="followed">The method of adaptive thresholds; null: all are fixed.</param>
    /// <param name="expected">The expected loss of fixed thresholds; null: not known.</param>
    public DropPlan(
        DropRequest request, LayerRule?[] promptRules, LayerRule?[] generatedRules, IReadOnlyList<Compensation?>? means, FollowedMethod? followed, ExpectedLoss? expected)
    {
        (Request, this.promptRules, this.generatedRules, this.means) = (request, promptRules, generatedRules, means);
        (Followed, Expected) = (followed, expected);
    }

    /// <summary>The request.</summary>
    public DropRequest Request { get; }

    /// <summary>The method of adaptive thresholds; null: all are fixed.</summary>
    public FollowedMethod? Followed { get; }

    /// <summary>Whether thresholds adapt for prompt and generated tokens alike.</summary>
    public bool AllAdaptive { get; init; }

    /// <summary>Whether a token is treated alike, be it of a prompt or generated.</summary>
    public bool SameForGenerated => ReferenceEquals(promptRules, generatedRules);

    /// <summary>The expected loss of fixed thresholds; null if it isn't known, or differs between prompt and generated tokens.</summary>
    public ExpectedLoss? Expected { get; }

    /// <summary>The loss to expect before a text is read: at a rate whose thresholds adapt, that of the rate; null: it isn't known.</summary>
    public ExpectedLoss? Beforehand => Expected ?? (AllAdaptive && Request is { Rate: { } rate, Generated: null } ? Followed!.Method.LossAt(rate) : null);

    /// <summary>A layer's rule; null: nothing is dropped.</summary>
    public LayerRule? Rule(int layer, bool generated) => (generated ? generatedRules : promptRules)[layer];

    /// <summary>The rule by which a layer's adaptive thresholds observe scores; null: thresholds are fixed.</summary>
    public LayerRule? AdaptiveRule(int layer, bool generated) => Rule(layer, generated) is { Curve: not null } own ? own
        : Rule(layer, !generated) is { Curve: not null } other ? other : null;

    /// <summary>A layer's mean compensation; null: none.</summary>
    public Compensation? Means(int layer, bool generated) => Rule(layer, generated) is { Compensates: true } ? means![layer] : null;
}
