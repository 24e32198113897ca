using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;

namespace DualSparse.Sparsify;

/// <summary>The scores of one layer's pairs, sorted: which thresholds give which drop rate, the guard counted.</summary>
internal sealed class LayerKeys
{
    private readonly float[] best;
    private readonly float[] others;

    public LayerKeys(IEnumerable<(float Key, bool Best)> pairs)
    {
        var parts = pairs.ToLookup(p => p.Best, p => p.Key);
        best = [.. parts[true].Order()];
        others = [.. parts[false].Order()];
    }

    /// <summary>The drop rate of thresholds.</summary>
    public double Rate(DropThresholds thresholds) =>
        0.5 * (Below(best, thresholds.Minor) + Below(others, thresholds.Minor) + Below(others, thresholds.Major)) / (best.Length + others.Length);

    /// <summary>The thresholds T/s and T·s that give a rate, or come as near as the guard lets them.</summary>
    public DropThresholds Thresholds(double rate, float spread)
    {
        float most = spread * (Math.Max(best.LastOrDefault(), others.LastOrDefault()) + float.Epsilon);
        // 40 halvings go below a float's precision.
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
