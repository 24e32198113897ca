using System.Runtime.InteropServices;

namespace DualSparse.Engine.Moe.Drop;

/// <summary>
/// One layer's part of a <see cref="RateFollower"/>: the quantiles of the halves of every token's pairs, and the thresholds that follow. Those
/// of a token follow from the tokens before a fixed position at or before its own: 0, 1, 2, 4, … 64, 128, 192, …, in this layer and some below.
/// </summary>
/// <param name="curve">The layer's thresholds along the method's rates.</param>
/// <param name="below">The layers below that are looked at too.</param>
/// <param name="ordinary">[bins] the share of ordinary text's halves in each bin, summed over this layer and those below; null: not known.</param>
/// <param name="whole">What was seen of the text before this part of it; null: this is the text.</param>
internal sealed class LayerQuantiles(RateCurve curve, LayerQuantiles[] below, double[]? ordinary, LayerQuantiles? whole)
{
    private const int Bins = FollowedMethod.Bins;

    // Tokens from one position to the next, once the text is as long: often enough to follow, seldom enough to cost nothing.
    private const int Step = 64;

    // How many tokens the calibration counts for. Tokens' rates lie some .15 from their text's, texts' some .03 from the calibration's:
    // after (.15/.03)², or 25, tokens a text says as much of itself as the calibration does.
    private const int PriorTokens = 32;

    // Of a token that met no moving thresholds.
    private const ushort Untaken = ushort.MaxValue;

    // [tokens, 2k]: each half's bin, or Bins for one that is never left out.
    private readonly List<ushort> quantiles = [];

    // [tokens] the bin of the rate whose thresholds the token met.
    private readonly List<ushort> taken = [];

    // [bins] halves of the tokens before the last fixed position, of this layer and those below.
    private readonly int[] counts = new int[Bins];
    private readonly Dictionary<LayerRule, (ushort Bin, DropThresholds[] Thresholds)> found = [];
    private ushort next = Untaken;
    private int counted;
    private int halves; // of a token

    /// <summary>Tokens seen.</summary>
    public int Tokens => taken.Count;

    /// <inheritdoc cref="IThresholdSource.Next"/>
    public ReadOnlySpan<DropThresholds> Next(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores)
    {
        CountTo(Position(Tokens));
        bool alone = ordinary is null && counted + (whole?.Tokens ?? 0) == 0;
        if (!found.TryGetValue(rule, out var at))
        {
            // Where nothing is known of the layer yet, a token speaks for itself alone.
            int[] own = counts;
            if (alone)
                Add(own = new int[Bins], Halves(rule, experts, scores, stackalloc ushort[2 * scores.Length]), 1);
            double rate = Quantile(own, alone ? 1 : counted, alone ? rule.Rate : rule.RateToHere, 2 * scores.Length);
            at = ((ushort)Bin(rate), Thresholds(rate, rule.Thresholds.Length));
            if (!alone)
                found.Add(rule, at);
        }

        next = at.Bin;
        return at.Thresholds;
    }

    /// <inheritdoc cref="IThresholdSource.Observe"/>
    public void Observe(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores)
    {
        halves = 2 * scores.Length;
        quantiles.AddRange(Halves(rule, experts, scores, stackalloc ushort[2 * scores.Length]));
        taken.Add(next);
        next = Untaken;
    }

    /// <summary>Counts no token from one on, before any layer forgets it.</summary>
    public void Uncount(int tokens)
    {
        next = Untaken;
        if (tokens < Tokens)
            CountTo(Position(tokens));
    }

    /// <summary>Forgets all but the first tokens, which alone are counted.</summary>
    public void Truncate(int tokens)
    {
        // What a pass that failed has left may be half a token.
        tokens = Math.Min(tokens, Tokens);
        CollectionsMarshal.SetCount(taken, tokens);
        CollectionsMarshal.SetCount(quantiles, tokens * halves);
    }

    /// <summary>Adds the first tokens that a part of the text has seen.</summary>
    public void Append(LayerQuantiles part, int tokens)
    {
        if (tokens == 0)
            return;
        halves = part.halves;
        quantiles.AddRange(CollectionsMarshal.AsSpan(part.quantiles)[..(tokens * halves)]);
        taken.AddRange(CollectionsMarshal.AsSpan(part.taken)[..tokens]);
    }

    /// <summary>Counts the rates whose thresholds the first tokens met, by bin.</summary>
    public void CountTaken(int tokens, long[] bins)
    {
        foreach (ushort bin in CollectionsMarshal.AsSpan(taken)[..Math.Min(tokens, Tokens)])
        {
            if (bin != Untaken)
                bins[bin]++;
        }
    }

    // The last fixed position at or before a token.
    private static int Position(int token) => token >= Step ? token / Step * Step : token == 0 ? 0 : 1 << int.Log2(token);

    // Brings the counts to the tokens before a position.
    private void CountTo(int position)
    {
        if (position == counted)
            return;
        int from = Math.Min(position, counted), to = Math.Max(position, counted), sign = position > counted ? 1 : -1;
        Add(counts, Between(from, to), sign);
        foreach (var layer in below)
            Add(counts, layer.Between(from, to), sign);
        counted = position;
        found.Clear();
    }

    private ReadOnlySpan<ushort> Between(int from, int to) => CollectionsMarshal.AsSpan(quantiles)[(from * halves)..(to * halves)];

    private static void Add(int[] counts, ReadOnlySpan<ushort> bins, int sign)
    {
        foreach (ushort bin in bins)
        {
            if (bin < Bins)
                counts[bin] += sign;
        }
    }

    // [2k] the bins of a token's halves.
    private Span<ushort> Halves(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores, Span<ushort> bins)
    {
        for (int k = 0; k < scores.Length; k++)
        {
            float score = curve.Scales is { } scales ? scores[k] * scales[experts[k]] : scores[k];
            bins[2 * k] = HalfBin(curve.MinorQuantile(score));
            bins[2 * k + 1] = k == 0 && rule.Guard ? (ushort)Bins : HalfBin(curve.MajorQuantile(score));
        }

        return bins;
    }

    // The rate of the method at which the text's shares, summed over layers, are the one aimed at.
    private double Quantile(int[] own, int tokens, double rate, int perToken)
    {
        int before = whole?.Tokens ?? 0, prior = ordinary is null ? 0 : PriorTokens;
        whole?.CountTo(before);
        double all = tokens + before + prior, sum = 0;
        for (int b = 0; b < Bins; b++)
        {
            double here = ((double)(own[b] + (whole?.counts[b] ?? 0)) / perToken + (prior == 0 ? 0 : prior * ordinary![b])) / all;
            if (sum + here >= rate)
                return (b + (here > 0 ? (rate - sum) / here : 0)) / Bins;
            sum += here;
        }

        return 1;
    }

    private DropThresholds[] Thresholds(double rate, int experts)
    {
        var at = curve.At(rate);
        return curve.Scales is { } scales
            ? [.. scales.Select(s => new DropThresholds(at.Major / s, at.Minor / s))]
            : [.. Enumerable.Repeat(at, experts)];
    }

    // At quantile 1 nothing is left out yet.
    private static ushort HalfBin(double quantile) => quantile < 1 ? (ushort)Bin(quantile) : (ushort)Bins;

    private static int Bin(double quantile) => Math.Min(Bins - 1, (int)(quantile * Bins));
}
