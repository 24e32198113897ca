namespace DualSparse.Engine.Moe.Drop;

/// <summary>
/// Adapts a method's thresholds so that a text meets a drop rate. For each half of a pair we store the smallest drop rate at which the
/// method's thresholds drop it: its quantile. The share of halves with a quantile below q is the rate that the thresholds of q give this
/// text. q is chosen so that this share, over a layer and those below it, equals their share on held-out text at the requested rate. So all
/// layers have nearly the same q, which keeps the method's balance between them. If a method's rates aren't known, each layer meets the
/// rate by itself.
/// </summary>
/// <remarks>
/// Thresholds change at fixed positions of the text (<see cref="LayerQuantiles"/>), and a layer's depend only on scores before that
/// position, its own and those of the layers below. So results don't depend on how the text is cut into passes or what else is in them, and
/// a token that is computed again uses the same thresholds. Observed scores count once the pass has succeeded: <see cref="Commit"/>. Not
/// for concurrent use.
/// </remarks>
internal sealed class RateFollower : IThresholdSource
{
    private readonly LayerQuantiles?[] layers;
    private readonly bool isPart;

    /// <summary>Starts with an empty text.</summary>
    public RateFollower(FollowedMethod method)
        : this(method, null)
    {
    }

    private RateFollower(FollowedMethod method, RateFollower? parent)
    {
        (Method, isPart) = (method, parent is not null);
        layers = new LayerQuantiles?[method.Layers.Count];
        for (int l = 0; l < layers.Length; l++)
        {
            if (method.Layers[l] is { } curve)
                layers[l] = new LayerQuantiles(curve, method.Known ? [.. layers.OfType<LayerQuantiles>()] : [], method.PriorShares[l], parent?.layers[l]);
        }
    }

    /// <summary>The method.</summary>
    public FollowedMethod Method { get; }

    /// <summary>The number of tokens observed in passes that succeeded.</summary>
    public int Length { get; private set; }

    /// <summary>The expected loss of the thresholds used so far, by dualsparse.json; null if it has none, or before the first token.</summary>
    public ExpectedLoss? Expected
    {
        get
        {
            long[] used = new long[FollowedMethod.Bins];
            foreach (var layer in layers)
                layer?.CountUsed(Length, used);
            long sum = used.Sum();
            if (sum == 0 || Method.Method.Points.Any(p => p.Loss is null))
                return null;
            var parts = used.Select((count, b) => (Share: (double)count / sum, Rate: (b + 0.5) / FollowedMethod.Bins)).Where(p => p.Share > 0)
                .Select(p => (p.Share, Loss: Method.Method.LossAt(p.Rate)!)).ToArray();
            return new ExpectedLoss(Mean(l => l.Kl), Mean(l => l.DeltaNll), Mean(l => l.Flips));

            Interval Mean(Func<ExpectedLoss, Interval> of) =>
                new(parts.Sum(p => p.Share * of(p.Loss).Value), parts.Sum(p => p.Share * of(p.Loss).Low), parts.Sum(p => p.Share * of(p.Loss).High));
        }
    }

    /// <inheritdoc/>
    public ReadOnlySpan<DropThresholds> Next(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores) =>
        rule.Curve is null ? rule.Thresholds : layers[rule.Layer]!.Next(rule, experts, scores);

    /// <inheritdoc/>
    public void Observe(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores) => layers[rule.Layer]!.Observe(rule, experts, scores);

    /// <summary>Counts tokens that every layer has observed.</summary>
    public void Commit(int tokens) => Length += tokens;

    /// <summary>Removes all but the first tokens, and what a pass that failed has observed.</summary>
    public void Truncate(int length)
    {
        Length = Math.Min(Length, length);
        foreach (var layer in layers)
            layer?.CountUpTo(Length);
        foreach (var layer in layers)
            layer?.Truncate(Length);
    }

    /// <summary>By layer, what has been observed of some tokens; null: nothing is.</summary>
    public ObservedQuantiles?[] Observed(int from, int count) => [.. layers.Select(layer => layer?.Observed(from, count))];

    /// <summary>Appends what another text with the same beginning has observed of its next tokens.</summary>
    /// <param name="observed">By layer, of a run of tokens.</param>
    /// <param name="tokens">Those of them that are appended.</param>
    public void Append(ObservedQuantiles?[] observed, int tokens)
    {
        for (int l = 0; l < layers.Length; l++)
            layers[l]?.Append(observed[l]!.Value, tokens);
        Length += tokens;
    }

    /// <summary>A part of the text that continues from here, beside other parts; until they have joined, this mustn't observe anything.</summary>
    /// <exception cref="InvalidOperationException">This is a part.</exception>
    public RateFollower Part() => isPart ? throw new InvalidOperationException("a part of a text has no parts") : new(Method, this);

    /// <summary>Appends a part's tokens.</summary>
    public void Join(RateFollower part)
    {
        for (int l = 0; l < layers.Length; l++)
            layers[l]?.Append(part.layers[l]!, part.Length);
        Length += part.Length;
    }
}
