namespace DualSparse.Engine.Moe;

/// <summary>
/// Moves a method's thresholds so that a text meets a drop rate. Half a pair's place is the lowest rate of the method at which it is left
/// out; so the share of halves whose place lies below q is the rate that the thresholds of q give. On text like the calibration's that is
/// q itself. A text's own shares are counted as they come, layer by layer, and q is where their mean over the layers meets the rate.
/// One place for all layers keeps the method's balance between them. What was seen belongs to a text: sequences that are parts of one
/// may share a follower (<see cref="KvCache.Follower"/>). Not for concurrent use.
/// </summary>
public sealed class RateFollower
{
    private const int Bins = FollowedMethod.Bins;

    // How many tokens the calibration counts for. Tokens' rates lie some .15 from their text's, texts' some .03 from the calibration's:
    // after (.15/.03)², or 25, tokens a text says as much of itself as the calibration does.
    private const int PriorTokens = 32;

    private readonly FollowedMethod method;
    private readonly long[]?[] halves;
    private readonly long[] tokens;
    private readonly long[] taken = new long[Bins];
    private readonly Dictionary<(int Layer, double Rate), (long Tokens, double Place)> found = [];

    internal RateFollower(FollowedMethod method)
    {
        this.method = method;
        halves = [.. method.Layers.Select(l => l is null ? null : new long[Bins])];
        tokens = new long[halves.Length];
    }

    /// <summary>The loss that the thresholds taken so far let expect, as dualsparse.json has it; null where it says nothing, or before the first.</summary>
    public LossToExpect? Expected
    {
        get
        {
            long sum = taken.Sum();
            if (sum == 0 || method.Method.Points.Any(p => p.Loss is null))
                return null;
            var parts = taken.Select((count, b) => (Share: (double)count / sum, Place: (b + 0.5) / Bins)).Where(p => p.Share > 0)
                .Select(p => (p.Share, Loss: method.Method.Expect(p.Place)!)).ToArray();
            return new LossToExpect(Mean(l => l.Kl), Mean(l => l.DeltaNll), Mean(l => l.Flips));

            Interval Mean(Func<LossToExpect, Interval> of) =>
                new(parts.Sum(p => p.Share * of(p.Loss).Value), parts.Sum(p => p.Share * of(p.Loss).Low), parts.Sum(p => p.Share * of(p.Loss).High));
        }
    }

    /// <summary>Whether it follows by these thresholds.</summary>
    internal bool Follows(FollowedMethod other) => ReferenceEquals(method, other);

    /// <summary>Counts some tokens' scores.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="rule">Its rule.</param>
    /// <param name="plan">Its routing.</param>
    /// <param name="first">The first token.</param>
    /// <param name="count">How many.</param>
    internal void See(int layer, LayerRule rule, RoutingPlan plan, int first, int count)
    {
        var (curve, own) = (method.Layers[layer]!, halves[layer]!);
        Span<float> scores = stackalloc float[plan.TopK];
        for (int t = first; t < first + count; t++)
        {
            rule.Scores(plan, t, scores);
            var experts = plan.Experts.Slice(t * plan.TopK, plan.TopK);
            for (int k = 0; k < scores.Length; k++)
            {
                float score = curve.Scales is { } scales ? scores[k] * scales[experts[k]] : scores[k];
                Count(own, curve.MinorPlace(score));
                if (k > 0 || !rule.Guard)
                    Count(own, curve.MajorPlace(score));
            }
        }

        tokens[layer] += count;
    }

    /// <summary>A layer's thresholds for the next tokens, before an expert's scale.</summary>
    /// <param name="layer">The layer; its own tokens have been seen.</param>
    /// <param name="rate">The rate aimed at.</param>
    /// <param name="count">How many tokens take them.</param>
    /// <param name="topK">Experts a token.</param>
    internal DropThresholds Thresholds(int layer, double rate, int count, int topK)
    {
        // A sixteenth more tokens hardly move a place, and single tokens shouldn't cost a search each.
        if (!found.TryGetValue((layer, rate), out var last) || tokens[layer] > last.Tokens + last.Tokens / 16)
        {
            // Where no calibration speaks for layers not seen yet, a layer's first tokens speak for themselves alone.
            bool alone = !method.Known && !found.Keys.Any(k => k.Layer == layer);
            found[(layer, rate)] = last = (tokens[layer], Place(alone ? [layer] : Enumerable.Range(0, halves.Length), rate, topK));
        }

        taken[Bin(last.Place)] += count;
        return method.Layers[layer]!.At(last.Place);
    }

    // Where the mean of some layers' shares meets the rate.
    private double Place(IEnumerable<int> layers, double rate, int topK)
    {
        int prior = method.Known ? PriorTokens : 0, known = 0;
        double[] mean = new double[Bins];
        foreach (int l in layers)
        {
            if (halves[l] is not { } own)
            {
                // What leaves nothing out counts in the rate too.
                known += method.Routed[l] ? 1 : 0;
                continue;
            }

            if (prior + tokens[l] == 0)
                continue;
            known++;
            double half = 0.5 / topK / (prior + tokens[l]), ordinary = prior / (double)(prior + tokens[l]);
            for (int b = 0; b < Bins; b++)
                mean[b] += half * own[b];
            for (int b = 0; prior > 0 && b < Bins; b++)
                mean[b] += ordinary * method.Shares[l]![b];
        }

        double below = 0;
        for (int b = 0; b < Bins; b++)
        {
            double here = mean[b] / known;
            if (below + here >= rate)
                return (b + (rate - below) / here) / Bins;
            below += here;
        }

        return 1;
    }

    private static void Count(long[] halves, double place)
    {
        // At place 1 nothing is left out yet.
        if (place < 1)
            halves[Bin(place)]++;
    }

    private static int Bin(double place) => Math.Min(Bins - 1, (int)(place * Bins));
}
