using System.Runtime.InteropServices;

namespace DualSparse.Engine.Moe.Drop;

/// <summary>
/// One layer's part of a <see cref="RateFollower"/>: the quantiles of both halves of every token's pairs, and the thresholds computed from
/// them. A token's thresholds depend on the tokens before a fixed position at or before its own (0, 1, 2, 4, … 64, 128, 192, …), in this
/// layer and some below.
/// </summary>
/// <param name="curve">The layer's thresholds by rate of the method.</param>
/// <param name="below">The layers below whose quantiles count too.</param>
/// <param name="prior">[bins] the share of held-out text's halves in each bin, summed over this layer and those below; null: not known.</param>
/// <param name="parent">The text before this part of it; null: this isn't a part.</param>
internal sealed class LayerQuantiles(RateCurve curve, LayerQuantiles[] below, double[]? prior, LayerQuantiles? parent)
{
    private const int Bins = FollowedMethod.Bins;

    // Tokens between two positions, once the text is that long: often enough to adapt, seldom enough that the cost doesn't count.
    private const int Step = 64;

    // The weight of the prior, in tokens. The standard deviation of tokens' rates from their text's is about .15, of texts' rates from the
    // calibration's about .03: after (.15/.03)² = 25 tokens a text says as much about itself as the calibration does.
    private const int PriorTokens = 32;

    // The bin of a token without adaptive thresholds.
    private const ushort NoBin = ushort.MaxValue;

    // [tokens, 2k]: each half's bin, or Bins for one that is never dropped.
    private readonly List<ushort> quantiles = [];

    // [tokens] the bin of the rate whose thresholds the token used.
    private readonly List<ushort> usedBins = [];

    // [bins] halves of the tokens before the last fixed position, of this layer and those below.
    private readonly int[] counts = new int[Bins];
    private readonly Dictionary<LayerRule, (ushort Bin, DropThresholds[] Thresholds)> current = [];
    private ushort nextBin = NoBin;
    private int counted;
    private int halves; // of a token

    /// <summary>The number of tokens observed.</summary>
    public int Tokens => usedBins.Count;

    /// <inheritdoc cref="IThresholdSource.Next"/>
    public ReadOnlySpan<DropThresholds> Next(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores)
    {
        CountTo(Position(Tokens));
        bool firstToken = prior is null && counted + (parent?.Tokens ?? 0) == 0;
        if (!current.TryGetValue(rule, out var at))
        {
            // If nothing is known of the layer yet, only the token's own scores count.
            int[] own = counts;
            if (firstToken)
                AddCounts(own = new int[Bins], Halves(rule, experts, scores, stackalloc ushort[2 * scores.Length]), 1);
            double rate = Quantile(own, firstToken ? 1 : counted, firstToken ? rule.Rate : rule.CumulativeRate, 2 * scores.Length);
            at = ((ushort)Bin(rate), Thresholds(rate, rule.Thresholds.Length));
            if (!firstToken)
                current.Add(rule, at);
        }

        nextBin = at.Bin;
        return at.Thresholds;
    }

    /// <inheritdoc cref="IThresholdSource.Observe"/>
    public void Observe(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores)
    {
        halves = 2 * scores.Length;
        quantiles.AddRange(Halves(rule, experts, scores, stackalloc ushort[2 * scores.Length]));
        usedBins.Add(nextBin);
        nextBin = NoBin;
    }

    /// <summary>Counts only the first <paramref name="tokens"/> tokens, before any layer removes the others.</summary>
    public void CountUpTo(int tokens)
    {
        nextBin = NoBin;
        if (tokens < Tokens)
            CountTo(Position(tokens));
    }

    /// <summary>Removes all but the first tokens; no others are counted.</summary>
    public void Truncate(int tokens)
    {
        // After a pass that failed, lists may hold half a token.
        tokens = Math.Min(tokens, Tokens);
        CollectionsMarshal.SetCount(usedBins, tokens);
        CollectionsMarshal.SetCount(quantiles, tokens * halves);
    }

    /// <summary>Appends the first tokens of a part of the text.</summary>
    public void Append(LayerQuantiles part, int tokens)
    {
        if (tokens == 0)
            return;
        halves = part.halves;
        quantiles.AddRange(CollectionsMarshal.AsSpan(part.quantiles)[..(tokens * halves)]);
        usedBins.AddRange(CollectionsMarshal.AsSpan(part.usedBins)[..tokens]);
    }

    /// <summary>What has been observed of some tokens.</summary>
    public ObservedQuantiles Observed(int from, int count) => new(
        [.. CollectionsMarshal.AsSpan(quantiles).Slice(from * halves, count * halves)], [.. CollectionsMarshal.AsSpan(usedBins).Slice(from, count)]);

    /// <summary>Appends what has been observed of the first tokens of a run, as if they had just passed.</summary>
    public void Append(ObservedQuantiles observed, int tokens)
    {
        halves = observed.Quantiles.Length / observed.UsedBins.Length;
        quantiles.AddRange(observed.Quantiles.AsSpan(0, tokens * halves));
        usedBins.AddRange(observed.UsedBins.AsSpan(0, tokens));
    }

    /// <summary>Counts, by bin, the rates whose thresholds the first tokens used.</summary>
    public void CountUsed(int tokens, long[] bins)
    {
        foreach (ushort bin in CollectionsMarshal.AsSpan(usedBins)[..Math.Min(tokens, Tokens)])
        {
            if (bin != NoBin)
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
        AddCounts(counts, Between(from, to), sign);
        foreach (var layer in below)
            AddCounts(counts, layer.Between(from, to), sign);
        counted = position;
        current.Clear();
    }

    private ReadOnlySpan<ushort> Between(int from, int to) => CollectionsMarshal.AsSpan(quantiles)[(from * halves)..(to * halves)];

    private static void AddCounts(int[] counts, ReadOnlySpan<ushort> bins, int sign)
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

    // The rate of the method at which this text's rate, summed over layers, is the target.
    private double Quantile(int[] own, int tokens, double rate, int perToken)
    {
        int before = parent?.Tokens ?? 0, priorTokens = prior is null ? 0 : PriorTokens;
        parent?.CountTo(before);
        double all = tokens + before + priorTokens, sum = 0;
        for (int b = 0; b < Bins; b++)
        {
            double here = ((double)(own[b] + (parent?.counts[b] ?? 0)) / perToken + (priorTokens == 0 ? 0 : priorTokens * prior![b])) / all;
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

    // A half with quantile 1 is never dropped.
    private static ushort HalfBin(double quantile) => quantile < 1 ? (ushort)Bin(quantile) : (ushort)Bins;

    private static int Bin(double quantile) => Math.Min(Bins - 1, (int)(quantile * Bins));
}

/// <summary>What one layer has observed of a run of tokens. Immutable.</summary>
/// <param name="Quantiles">[tokens, 2k]: each half's bin.</param>
/// <param name="UsedBins">[tokens] the bin of the rate whose thresholds each token used.</param>
internal readonly record struct ObservedQuantiles(ushort[] Quantiles, ushort[] UsedBins);
