using DualSparse.Engine;

namespace DualSparse.Evaluation;

/// <summary>Sums, window by window, the loss of each variant of a stream against the dense run.</summary>
/// <param name="windows">The windows: each id predicts the next of its window.</param>
/// <param name="variants">The number of plans, including the dense one.</param>
/// <param name="vocabulary">Logits in a row.</param>
internal sealed class WindowLoss(IReadOnlyList<int[]> windows, int variants, int vocabulary)
{
    // [variants][windows] sums over the window's predictions.
    private readonly LossSums[][] sums = [.. Enumerable.Range(0, variants).Select(_ => new LossSums[windows.Count])];

    /// <summary>Adds logits of a window: a stream's observer.</summary>
    public void Add(int window, int variant, int first, ReadOnlySpan<float> dense, ReadOnlySpan<float> logits)
    {
        if (variant == 0)
            return;
        int[] ids = windows[window];
        int rows = Math.Min(logits.Length / vocabulary, ids.Length - 1 - first);
        sums[variant][window] += LossSums.Of(dense, logits, ids.AsSpan(first + 1, rows), vocabulary);
    }

    /// <summary>Mean KL of a variant, nats a token.</summary>
    public double Kl(int variant) => sums[variant].Sum(s => s.KullbackLeibler) / windows.Sum(w => w.Length - 1.0);

    /// <summary>A variant's loss, with intervals by the normal approximation over windows.</summary>
    public ExpectedLoss Loss(int variant) => new(
        Mean(sums[variant].Select(s => s.KullbackLeibler)), Mean(sums[variant].Select(s => s.Nll - s.DenseNll)), Mean(sums[variant].Select(s => (double)s.Flips)));

    private Interval Mean(IEnumerable<double> perWindow)
    {
        double[] means = [.. perWindow.Select((s, w) => s / (windows[w].Length - 1))];
        double mean = means.Average();
        // 1.96 standard errors of the mean of windows.
        double halfWidth = means.Length < 2 ? 0 : 1.96 * Math.Sqrt(means.Sum(m => (m - mean) * (m - mean)) / (means.Length - 1) / means.Length);
        return new Interval(Round(mean), Round(mean - halfWidth), Round(mean + halfWidth));
    }

    private static double Round(double value) => Math.Round(value, 7);
}
