namespace DualSparse.Engine.Moe.Drop;

/// <summary>One layer's rule in a <see cref="DropPlan"/>: the score, and fixed thresholds or the curve of adaptive ones. Immutable.</summary>
internal sealed class LayerRule
{
    private readonly DropScore score;
    private readonly float[] norms;

    private LayerRule(DropRequest request, int layer, DropThresholds[] thresholds, float[] norms)
    {
        (score, Guard, Compensates, Layer) = (request.Score, request.Guard, request.Compensate, layer);
        (Thresholds, this.norms) = (thresholds, norms);
    }

    /// <summary>The layer's index.</summary>
    public int Layer { get; }

    /// <summary>Whether a token's best expert always computes at least its major half.</summary>
    public bool Guard { get; }

    /// <summary>Whether the mean output of what is dropped is added instead.</summary>
    public bool Compensates { get; }

    /// <summary>[experts] fixed thresholds; with a <see cref="Curve"/> only their number counts.</summary>
    public DropThresholds[] Thresholds { get; }

    /// <summary>The curve of thresholds that adapt to the text's scores; null: they are fixed.</summary>
    public RateCurve? Curve { get; private init; }

    /// <summary>The target of adaptive thresholds: the share of this layer's work to drop.</summary>
    public double Rate { get; private init; }

    /// <summary>The sum of the targets of the layers whose quantiles count: this one, and those below if the method's rates are known.</summary>
    public double CumulativeRate { get; private init; }

    /// <summary>A layer's rule with fixed thresholds; null if it drops nothing.</summary>
    /// <param name="request">The request, without a rate.</param>
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

    /// <summary>A layer's rule with adaptive thresholds; null if the method drops nothing there.</summary>
    /// <param name="request">Guard, compensation.</param>
    /// <param name="rates">By layer, the target rate: <see cref="FollowedMethod.LayerRates"/>.</param>
    /// <param name="method">The method.</param>
    /// <param name="layer">The layer's index.</param>
    /// <param name="experts">Its routed experts.</param>
    public static LayerRule? Of(DropRequest request, double[] rates, FollowedMethod method, int layer, int experts) => method.Layers[layer] is { } curve
        ? new LayerRule(request with { Score = method.Method.Score }, layer, new DropThresholds[experts], [])
        {
            Curve = curve,
            Rate = rates[layer],
            CumulativeRate = method.Known ? rates.Take(layer + 1).Sum() : rates[layer],
        }
        : null;

    /// <summary>Computes a token's scores.</summary>
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
