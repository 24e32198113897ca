namespace DualSparse.Engine.Moe.Drop;

/// <summary>
/// Moves a method's thresholds so that a text meets a drop rate. For each half of a pair we note the smallest drop rate at which the method leaves
/// it out: its quantile. The share of halves with a quantile below q is the rate that the thresholds of q give this text, and q is moved to where
/// that share, over a layer and those below it, is the one that they have on ordinary text at the rate asked for. So the layers' q are nearly one,
/// which keeps the method's balance between them. Where a method's rates are not known, each layer meets the rate by itself.
/// </summary>
/// <remarks>
/// Thresholds move at fixed positions of the text (<see cref="LayerQuantiles"/>), and a layer's depend on nothing but scores before that position,
/// its own and those of the layers below, which every pass has at hand. So it makes no difference how the text is cut into passes or what else
/// is in them, and a token that is computed again meets the thresholds that it met before. What a pass shows counts once the pass has succeeded:
/// <see cref="Commit"/>. Not for concurrent use.
/// </remarks>
internal sealed class RateFollower : IThresholdSource
{
    private readonly LayerQuantiles?[] layers;
    private readonly bool isPart;

    /// <summary>Has seen nothing yet.</summary>
    public RateFollower(FollowedMethod method)
        : this(method, null)
    {
    }

    private RateFollower(FollowedMethod method, RateFollower? whole)
    {
        (Method, isPart) = (method, whole is not null);
        layers = new LayerQuantiles?[method.Layers.Count];
        for (int l = 0; l < layers.Length; l++)
        {
            if (method.Layers[l] is { } curve)
                layers[l] = new LayerQuantiles(curve, method.Known ? [.. layers.OfType<LayerQuantiles>()] : [], method.SharesTo[l], whole?.layers[l]);
        }
    }

    /// <summary>What the thresholds move along.</summary>
    public FollowedMethod Method { get; }

    /// <summary>Tokens seen in passes that succeeded.</summary>
    public int Length { get; private set; }

    /// <summary>The loss that the thresholds taken so far let expect, as dualsparse.json has it; null where it says nothing, or before the first.</summary>
    public LossToExpect? Expected
    {
        get
        {
            long[] taken = new long[FollowedMethod.Bins];
            foreach (var layer in layers)
                layer?.CountTaken(Length, taken);
            long sum = taken.Sum();
            if (sum == 0 || Method.Method.Points.Any(p => p.Loss is null))
                return null;
            var parts = taken.Select((count, b) => (Share: (double)count / sum, Rate: (b + 0.5) / FollowedMethod.Bins)).Where(p => p.Share > 0)
                .Select(p => (p.Share, Loss: Method.Method.Expect(p.Rate)!)).ToArray();
            return new LossToExpect(Mean(l => l.Kl), Mean(l => l.DeltaNll), Mean(l => l.Flips));

            Interval Mean(Func<LossToExpect, Interval> of) =>
                new(parts.Sum(p => p.Share * of(p.Loss).Value), parts.Sum(p => p.Share * of(p.Loss).Low), parts.Sum(p => p.Share * of(p.Loss).High));
        }
    }

    /// <inheritdoc/>
    public ReadOnlySpan<DropThresholds> Next(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores) =>
        rule.Curve is null ? rule.Thresholds : layers[rule.Layer]!.Next(rule, experts, scores);

    /// <inheritdoc/>
    public void Observe(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores) => layers[rule.Layer]!.Observe(rule, experts, scores);

    /// <summary>Counts tokens that every layer has shown.</summary>
    public void Commit(int tokens) => Length += tokens;

    /// <summary>Forgets all but the first tokens, and what a pass that failed has shown.</summary>
    public void Truncate(int length)
    {
        Length = Math.Min(Length, length);
        foreach (var layer in layers)
            layer?.Uncount(Length);
        foreach (var layer in layers)
            layer?.Truncate(Length);
    }

    /// <summary>A part of the text that goes on from what this has seen, beside other parts; this mustn't see anything meanwhile.</summary>
    /// <exception cref="InvalidOperationException">This is a part.</exception>
    public RateFollower Part() => isPart ? throw new InvalidOperationException("a part of a text has no parts") : new(Method, this);

    /// <summary>Adds what a part has seen.</summary>
    public void Join(RateFollower part)
    {
        for (int l = 0; l < layers.Length; l++)
            layers[l]?.Append(part.layers[l]!, part.Length);
        Length += part.Length;
    }
}
