using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;

namespace DualSparse.Sparsify;

/// <summary>The sorted scores of one layer's pairs: they give the drop rate of thresholds, with the guard.</summary>
internal sealed class LayerScores
{
    private readonly float[] best;
    private readonly float[] others;

    public LayerScores(IEnumerable<(float Score, bool Best)> pairs)
    {
        var parts = pairs.ToLookup(p => p.Best, p => p.Score);
        best = [.. parts[true].Order()];
        others = [.. parts[false].Order()];
    }

    /// <summary>The drop rate of thresholds.</summary>
    public double Rate(DropThresholds thresholds) =>
        0.5 * (Below(best, thresholds.Minor) + Below(others, thresholds.Minor) + Below(others, thresholds.Major)) / (best.Length + others.Length);

    /// <summary>The thresholds T/s and T·s that give a rate, or the nearest that the guard allows.</summary>
    public DropThresholds Thresholds(double rate, float spread)
    {
        float most = spread * (Math.Max(best.LastOrDefault(), others.LastOrDefault()) + float.Epsilon);
        // 40 halvings are finer than a float's precision.
        return rate <= 0 ? DropThresholds.None : Around(Bisection.Find(0f, most, 40, t => Rate(Around(t)) < rate).High);

        DropThresholds Around(float threshold) => new(threshold / spread, threshold * spread);
    }

    private static int Below(float[] sorted, float threshold)
    {
        int low = 0, high = sorted.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (sorted[middle] < threshold)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }
}
