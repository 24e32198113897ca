namespace DualSparse.Engine.Moe;

/// <summary>A <see cref="DropRule"/> as one layer uses it: thresholds by expert, ready to be looked up.</summary>
public sealed class LayerRule
{
    private readonly DropThresholds[] thresholds;
    private readonly float[] norms;

    private LayerRule(DropRule rule, LayerThresholds? layer, int experts)
    {
        (Score, Guard) = (rule.Rate is null ? rule.Score : DropScore.Gate, rule.Guard);
        thresholds = layer?.Experts is { } own ? [.. own] : [.. Enumerable.Repeat(layer?.Thresholds ?? rule.Thresholds, experts)];
        norms = [.. layer?.Norms ?? []];
        Follower = rule.Rate is { } rate ? new RateFollower(rate, rule.Delta) : null;
    }

    /// <summary>What is compared with the thresholds.</summary>
    public DropScore Score { get; }

    /// <summary>Whether a token's best expert computes its major half however low the score.</summary>
    public bool Guard { get; }

    /// <summary>[experts] n_e; empty where they aren't needed.</summary>
    public ReadOnlySpan<float> Norms => norms;

    /// <summary>Moves the thresholds to meet a drop rate; null where they are given.</summary>
    internal RateFollower? Follower { get; }

    /// <summary>An expert's thresholds.</summary>
    public DropThresholds Of(int expert) => thresholds[expert];

    /// <summary>A layer's rule; null if it drops nothing.</summary>
    /// <param name="rule">The model's.</param>
    /// <param name="layer">The layer's index.</param>
    /// <param name="experts">Its routed experts.</param>
    public static LayerRule? Of(DropRule rule, int layer, int experts)
    {
        var own = rule.Layers?[layer];
        bool drops = rule.Rate is { } rate ? rate > 0 : own?.Drops ?? rule.Thresholds != DropThresholds.None;
        return drops ? new LayerRule(rule, own, experts) : null;
    }

    /// <summary>Lets thresholds that follow the scores see a plan before it is decided.</summary>
    internal void See(RoutingPlan plan)
    {
        if (Follower is not null)
            Array.Fill(thresholds, Follower.See(plan, Guard));
    }
}
