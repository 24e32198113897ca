namespace DualSparse.Engine.Moe.Drop;

/// <summary>A histogram of the normalised gating scores ŝ of token-expert pairs, with a token's best expert apart, for the guard.</summary>
internal sealed class ScoreHistogram
{
    // One ten-thousandth: a hundredth of the δ between T_major and T_minor.
    private const int Bins = 10_000;

    private readonly long[] best = new long[Bins];
    private readonly long[] others = new long[Bins];

    /// <summary>Pairs counted.</summary>
    public long Pairs { get; private set; }

    /// <summary>Counts every pair of a plan.</summary>
    public void Add(RoutingPlan plan)
    {
        var scores = plan.Scores;
        for (int i = 0; i < scores.Length; i++)
            (i % plan.TopK == 0 ? best : others)[Bin(scores[i])]++;
        Pairs += scores.Length;
    }

    /// <summary>The sum of several histograms.</summary>
    public static ScoreHistogram Sum(IEnumerable<ScoreHistogram> parts)
    {
        var sum = new ScoreHistogram();
        foreach (var part in parts)
        {
            for (int b = 0; b < Bins; b++)
            {
                sum.best[b] += part.best[b];
                sum.others[b] += part.others[b];
            }

            sum.Pairs += part.Pairs;
        }

        return sum;
    }

    /// <summary>The score below which the given share of pairs lies, to a ten-thousandth.</summary>
    public double Quantile(double share)
    {
        long below = 0;
        for (int b = 0; b < Bins; b++)
        {
            below += best[b] + others[b];
            if (below >= share * Pairs)
                return (b + 1.0) / Bins;
        }

        return 1;
    }

    /// <summary>The drop rate of thresholds, with the guard.</summary>
    /// <param name="thresholds">On ŝ.</param>
    public double Rate(DropThresholds thresholds)
    {
        double dropped = 0;
        for (int b = 0; b < Bins; b++)
        {
            // A token's only expert has the score 1, which no threshold below it drops.
            float score = b == Bins - 1 ? 1 : (b + 0.5f) / Bins;
            dropped += best[b] * Share(DropPolicy.Decide(score, best: true, thresholds, guard: true));
            dropped += others[b] * Share(DropPolicy.Decide(score, best: false, thresholds, guard: true));
        }

        return Pairs == 0 ? 0 : dropped / Pairs;
    }

    /// <summary>The thresholds T ∓ δ that give a drop rate, or the nearest that the guard allows.</summary>
    /// <param name="rate">From 0 to 1.</param>
    /// <param name="delta">δ; 0 is 1T-Drop.</param>
    public DropThresholds Thresholds(double rate, float delta)
    {
        // 20 halvings are finer than a bin.
        return DropThresholds.Around(Bisection.Find(-delta, 1f, 20, t => Rate(DropThresholds.Around(t, delta)) < rate).High, delta);
    }

    private static double Share(Computation computation) => computation switch { Computation.Drop => 1, Computation.Major => 0.5, _ => 0 };

    private static int Bin(float score) => Math.Clamp((int)(score * Bins), 0, Bins - 1);
}
