namespace DualSparse.Distributed.Measuring;

/// <summary>What each rank sends in theory, from n(r, g), the rows of rank r that have an expert in group g.</summary>
internal static class ExchangeBytes
{
    /// <summary>Bytes that a rank sends in dispatch.</summary>
    /// <remarks>
    /// S-ETP: every row to the T ranks of each of its groups, but not to itself: T·Σ_g' n(r, g') − n(r, g) rows.
    /// EP×TP: to one rank of each other group, then all that came to the T − 1 others of its group: Σ_{g'≠g} n(r, g') + (T − 1)·Σ_g' n((g', t), g) rows.
    /// </remarks>
    public static long Dispatch(ExchangeScheme scheme, RowSets sets, ExchangeShape shape, int rank)
    {
        var at = sets.Arrangement;
        int own = sets.Count(rank, at.GroupOf(rank));
        long all = Enumerable.Range(0, at.Groups).Sum(group => (long)sets.Count(rank, group));
        long rows = scheme == ExchangeScheme.SplitExperts
            ? at.Parts * all - own
            : all - own + (at.Parts - 1) * sets.CountOfPart(at.PartOf(rank), at.GroupOf(rank));
        return rows * shape.RowBytes;
    }

    /// <summary>Bytes that a rank sends in combine.</summary>
    /// <remarks>
    /// Either way a sum for each row that it has computed and that isn't its own: Σ_s n(s, g) − n(r, g). S-ETP sends them to the rows' ranks. EP×TP sends
    /// those of other parts to its group, and of what it reduces those of other groups to their ranks.
    /// </remarks>
    public static long Combine(RowSets sets, ExchangeShape shape, int rank)
    {
        int group = sets.Arrangement.GroupOf(rank);
        return (sets.Total(group) - sets.Count(rank, group)) * shape.SumBytes;
    }
}
