namespace DualSparse.Engine.Moe;

/// <summary>Keeps one layer's thresholds where the scores seen so far would have met a drop rate.</summary>
/// <param name="rate">The rate aimed at.</param>
/// <param name="delta">δ.</param>
internal sealed class RateFollower(double rate, float delta)
{
    private readonly ScoreHistogram seen = new();
    private long searched;
    private DropThresholds thresholds;

    /// <summary>Counts a plan's scores, and moves the thresholds if they have become enough more: a sixteenth.</summary>
    public DropThresholds See(RoutingPlan plan, bool guard)
    {
        seen.Add(plan);
        if (seen.Pairs >= searched + searched / 16)
        {
            thresholds = seen.Thresholds(rate, delta, guard);
            searched = seen.Pairs;
        }

        return thresholds;
    }
}
