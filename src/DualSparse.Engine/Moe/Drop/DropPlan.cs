namespace DualSparse.Engine.Moe.Drop;

/// <summary>A <see cref="DropRequest"/> as one model carries it out: a rule for each layer, prompts and generated tokens apart. Immutable; any number of texts share it.</summary>
internal sealed class DropPlan
{
    private readonly LayerRule?[] prompt;
    private readonly LayerRule?[] generated;
    private readonly IReadOnlyList<Compensation?>? means;

    /// <summary>Puts a plan together; see <see cref="DropPlanner"/>.</summary>
    /// <param name="request">What was asked.</param>
    /// <param name="prompt">By layer, what is left out of a prompt's tokens; null: nothing.</param>
    /// <param name="generated">The same of generated tokens.</param>
    /// <param name="means">By layer, what dropped experts leave behind; null: nothing.</param>
    /// <param name="followed">What moving thresholds move along; null: all stay.</param>
    /// <param name="expected">The loss to expect of thresholds that stay; null: not known.</param>
    public DropPlan(
        DropRequest request, LayerRule?[] prompt, LayerRule?[] generated, IReadOnlyList<Compensation?>? means, FollowedMethod? followed, LossToExpect? expected)
    {
        (Request, this.prompt, this.generated, this.means) = (request, prompt, generated, means);
        (Followed, Expected) = (followed, expected);
    }

    /// <summary>What was asked.</summary>
    public DropRequest Request { get; }

    /// <summary>What moving thresholds move along; null: all stay.</summary>
    public FollowedMethod? Followed { get; }

    /// <summary>Whether all tokens meet thresholds that move.</summary>
    public bool FollowsAll { get; init; }

    /// <summary>The loss to expect of thresholds that stay; null where it isn't known, or where generated tokens' is another.</summary>
    public LossToExpect? Expected { get; }

    /// <summary>What is left out in a layer; null: nothing.</summary>
    public LayerRule? Rule(int layer, bool generated) => (generated ? this.generated : prompt)[layer];

    /// <summary>By which rule a layer's scores are watched, since thresholds move by them; null: by none.</summary>
    public LayerRule? Moving(int layer, bool generated) => Rule(layer, generated) is { Curve: not null } own ? own
        : Rule(layer, !generated) is { Curve: not null } other ? other : null;

    /// <summary>What a layer's dropped experts leave behind; null: nothing.</summary>
    public Compensation? Means(int layer, bool generated) => Rule(layer, generated) is { Compensates: true } ? means![layer] : null;
}
