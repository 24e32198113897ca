namespace DualSparse.Engine.Serving;

/// <summary>A token that may be drawn.</summary>
/// <param name="Weight">Its probability, up to a factor common to all.</param>
/// <param name="Id">The token.</param>
internal readonly record struct Candidate(float Weight, int Id)
{
    /// <summary>Heavier first; of equals, the lower id.</summary>
    public bool Before(Candidate other) => Weight > other.Weight || (Weight == other.Weight && Id < other.Id);
}

/// <summary>Selection among candidates in linear expected time: what is kept stands in front, in no order.</summary>
internal static class Candidates
{
    /// <summary>Brings the <paramref name="count"/> first to the front.</summary>
    public static int KeepBest(Span<Candidate> candidates, int count) => Keep(candidates, count, byWeight: false);

    /// <summary>Brings the shortest run of the first whose weights sum to <paramref name="weight"/> or more to the front.</summary>
    /// <returns>Its length, at least 1; all, if they don't reach it.</returns>
    public static int KeepWeight(Span<Candidate> candidates, double weight) => Keep(candidates, weight, byWeight: true);

    // Quickselect, its goal a sum instead of a rank. Everything left of `low` is kept and sums to `sum`; nothing right of `high` is.
    private static int Keep(Span<Candidate> all, double goal, bool byWeight)
    {
        int low = 0, high = all.Length;
        double sum = 0;
        while (high - low > 1)
        {
            var pivot = TakePivot(all[low..high]);
            int split = low;
            double before = 0;
            for (int i = low; i < high - 1; i++)
            {
                if (!all[i].Before(pivot))
                    continue;
                before += byWeight ? all[i].Weight : 1;
                (all[i], all[split]) = (all[split], all[i]);
                split++;
            }

            (all[split], all[high - 1]) = (pivot, all[split]);
            double withPivot = sum + before + (byWeight ? pivot.Weight : 1);
            if (sum + before >= goal)
                high = split;
            else if (withPivot >= goal)
                return split + 1;
            else
                (low, sum) = (split + 1, withPivot);
        }

        return high;
    }

    // The middle one of first, middle and last goes to the end: sorted input, the common special case, then splits evenly.
    private static Candidate TakePivot(Span<Candidate> range)
    {
        ref var a = ref range[0];
        ref var b = ref range[range.Length / 2];
        ref var c = ref range[^1];
        if (b.Before(a))
            (a, b) = (b, a);
        if (c.Before(b))
            (b, c) = (c, b);
        if (b.Before(a))
            (a, b) = (b, a);
        (b, c) = (c, b);
        return c;
    }
}
