namespace DualSparse.Engine.Moe;

/// <summary>A <see cref="DropRule"/> as one layer uses it: thresholds by expert, ready to be looked up.</summary>
public sealed class LayerRule
{
    private readonly DropThresholds[] thresholds;
    private readonly float[] norms;
    private readonly DropScore score;
    private readonly int layer;
    private readonly RateCurve? curve;
    private readonly double rate;

    private LayerRule(DropRule rule, int layer, int experts)
    {
        var own = rule.Layers?[layer];
        (score, Guard, Compensates, this.layer) = (rule.Score, rule.Guard, rule.Compensate, layer);
        thresholds = own?.Experts is { } each ? [.. each] : [.. Enumerable.Repeat(own?.Thresholds ?? rule.Thresholds, experts)];
        norms = [.. own?.Norms ?? []];
        if (rule.Rate is { } aim)
            (rate, curve) = (aim, rule.Followed!.Layers[layer]);
    }

    /// <summary>Whether a token's best expert computes its major half however low the score.</summary>
    public bool Guard { get; }

    /// <summary>Whether what is dropped leaves its mean behind.</summary>
    internal bool Compensates { get; }

    /// <summary>Whether the thresholds move with the scores, by <see cref="Follow"/>, to meet a drop rate.</summary>
    internal bool Follows => curve is not null;

    /// <summary>An expert's thresholds.</summary>
    public DropThresholds Of(int expert) => thresholds[expert];

    /// <summary>What of a token's pairs is compared with the thresholds.</summary>
    /// <param name="plan">The layer's routing.</param>
    /// <param name="token">The token.</param>
    /// <param name="scores">[k] receives its scores.</param>
    public void Scores(RoutingPlan plan, int token, Span<float> scores)
    {
        int first = token * plan.TopK;
        DropScores.Of(score, plan.Experts.Slice(first, plan.TopK), plan.Weights.Slice(first, plan.TopK), plan.Scores.Slice(first, plan.TopK), norms, scores);
    }

    /// <summary>A layer's rule; null if it drops nothing.</summary>
    /// <param name="rule">The model's; a rate's thresholds have been resolved (<see cref="DropProfile.Resolve"/>).</param>
    /// <param name="layer">The layer's index.</param>
    /// <param name="experts">Its routed experts.</param>
    public static LayerRule? Of(DropRule rule, int layer, int experts)
    {
        bool drops = rule.Rate is { } rate
            ? rate > 0 && rule.Followed?.Layers[layer] is not null
            : rule.Layers?[layer].Drops ?? rule.Thresholds != DropThresholds.None;
        return drops ? new LayerRule(rule, layer, experts) : null;
    }

    /// <summary>Shows a follower the scores of some tokens.</summary>
    internal void Show(RateFollower follower, RoutingPlan plan, int first, int count) => follower.See(layer, this, plan, first, count);

    /// <summary>Takes a follower's thresholds for the next tokens.</summary>
    internal void Follow(RateFollower follower, int count, int topK)
    {
        var at = follower.Thresholds(layer, rate, count, topK);
        for (int e = 0; e < thresholds.Length; e++)
            thresholds[e] = curve!.Scales is { } scales ? new(at.Major / scales[e], at.Minor / scales[e]) : at;
    }
}
