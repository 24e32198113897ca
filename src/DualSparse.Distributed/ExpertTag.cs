namespace DualSparse.Distributed;

/// <summary>Tags of the messages of one layer's experts: rows of several layers may be under way, and none may be taken for another's.</summary>
internal static class ExpertTag
{
    // Below are those of all other messages.
    private const int First = 16, PerLayer = 3;

    /// <summary>The first part of a rank's rows.</summary>
    public static int Rows(int layer) => First + PerLayer * layer;

    /// <summary>What of them doesn't fit the first part.</summary>
    public static int MoreRows(int layer) => Rows(layer) + 1;

    /// <summary>The sums.</summary>
    public static int Sums(int layer) => Rows(layer) + 2;
}
