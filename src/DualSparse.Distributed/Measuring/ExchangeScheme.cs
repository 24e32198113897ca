namespace DualSparse.Distributed.Measuring;

/// <summary>How rows reach the ranks that have parts of their experts, and sums come back.</summary>
internal enum ExchangeScheme
{
    /// <summary>S-ETP: parts are experts of their own, and expert parallelism is over all of them: an all-to-all each way.</summary>
    SplitExperts,

    /// <summary>EP×TP: all-to-all between groups, then all-gather within a group; back by reduce-scatter and all-to-all.</summary>
    GroupsThenParts,
}

/// <summary>What is named after a scheme.</summary>
internal static class ExchangeSchemes
{
    /// <summary>As the field writes it.</summary>
    public static string Name(this ExchangeScheme scheme) => scheme == ExchangeScheme.SplitExperts ? "S-ETP" : "EP×TP";

    /// <summary>A rank's side of it.</summary>
    public static ExchangeSide Side(this ExchangeScheme scheme, ShapedRouting routing, RowSets sets, int rank) => scheme == ExchangeScheme.SplitExperts
        ? new SplitExpertsSide(routing, sets, rank)
        : new GroupsThenPartsSide(routing, sets, rank);
}
