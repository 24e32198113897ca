namespace DualSparse.Engine.Moe.Drop;

/// <summary>What a <see cref="DropPlan"/> says of one layer: the score, and thresholds that stay or the curve along which they move. Immutable.</summary>
internal sealed class LayerRule
{
    private readonly DropScore score;
    private readonly float[] norms;

    private LayerRule(DropRequest request, int layer, DropThresholds[] thresholds, float[] norms)
    {
        (score, Guard, Compensates, Layer) = (request.Score, request.Guard, request.Compensate, layer);
        (Thresholds, this.norms) = (thresholds, norms);
    }

    /// <summary>The layer.</summary>
    public int Layer { get; }

    /// <summary>Whether a token's best expert computes its major half however low the score.</summary>
    public bool Guard { get; }

    /// <summary>Whether what is dropped leaves its mean behind.</summary>
    public bool Compensates { get; }

    /// <summary>[experts] thresholds that stay; not looked at, but for their number, where there is a <see cref="Curve"/>.</summary>
    public DropThresholds[] Thresholds { get; }

    /// <summary>The curve along which thresholds move with the text's scores; null: they stay.</summary>
    public RateCurve? Curve { get; private init; }

    /// <summary>The share of this layer's work that a moving rule aims at.</summary>
    public double Rate { get; private init; }

    /// <summary>The same, summed over the layers that its thresholds look at: itself, and those below where the method's rates are known.</summary>
    public double RateToHere { get; private init; }

    /// <summary>A layer's rule with thresholds that stay; null if it drops nothing.</summary>
    /// <param name="request">The model's; it names no rate.</param>
    /// <param name="layer">The layer's index.</param>
    /// <param name="experts">Its routed experts.</param>
    public static LayerRule? Of(DropRequest request, int layer, int experts)
    {
        var own = request.Layers?[layer];
        if (!(own?.Drops ?? request.Thresholds != DropThresholds.None))
            return null;
        DropThresholds[] thresholds = own?.Experts is { } each ? [.. each] : [.. Enumerable.Repeat(own?.Thresholds ?? request.Thresholds, experts)];
        return new LayerRule(request, layer, thresholds, [.. own?.Norms ?? []]);
    }

    /// <summary>A layer's rule whose thresholds move with the text; null if its method drops nothing there.</summary>
    /// <param name="request">Guard, compensation.</param>
    /// <param name="rates">By layer, the rate aimed at: <see cref="FollowedMethod.LayerRates"/>.</param>
    /// <param name="method">What the thresholds move along.</param>
    /// <param name="layer">The layer's index.</param>
    /// <param name="experts">Its routed experts.</param>
    public static LayerRule? Of(DropRequest request, double[] rates, FollowedMethod method, int layer, int experts) => method.Layers[layer] is { } curve
        ? new LayerRule(request with { Score = method.Method.Score }, layer, new DropThresholds[experts], [])
        {
            Curve = curve,
            Rate = rates[layer],
            RateToHere = method.Known ? rates.Take(layer + 1).Sum() : rates[layer],
        }
        : null;

    /// <summary>What of a token's pairs is compared with the thresholds.</summary>
    /// <param name="routing">The layer's routing.</param>
    /// <param name="token">The token.</param>
    /// <param name="scores">[k] receives its scores.</param>
    public void Scores(RoutingPlan routing, int token, Span<float> scores)
    {
        int first = token * routing.TopK;
        DropScores.Of(
            score, routing.Experts.Slice(first, routing.TopK), routing.Weights.Slice(first, routing.TopK), routing.Scores.Slice(first, routing.TopK), norms, scores);
    }
}
