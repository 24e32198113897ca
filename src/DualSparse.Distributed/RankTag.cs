using DualSparse.Engine.Moe;

namespace DualSparse.Distributed;

/// <summary>THE tags of messages between ranks: two kinds of message that could meet have different ones.</summary>
internal static class RankTag
{
    /// <summary>Before anything is loaded: what is to be run, host names, and whether a rank has loaded its part.</summary>
    public const int Handshake = 1, Loaded = 2, Host = 3;

    /// <summary>That a rank is there.</summary>
    public const int Pulse = 4;

    /// <summary>What links carry; what crosses on them.</summary>
    public const int Probe = 5, ProbeCross = 16;

    /// <summary>A pass that begins; of a rank's own chunks the logits, and what has become of their texts.</summary>
    public const int Pass = 6, ChunkLogits = 7, TextReport = 8;

    /// <summary>Parts of a sum, finished sums, a part of the vocabulary.</summary>
    public const int Part = 9, Sum = 10, Logits = 11;

    /// <summary>Of measurements: stages, barriers, figures, and the end of what rank 0 does alone.</summary>
    public const int Stage = 12, Barrier = 13, Figures = 14, Alone = 15;

    /// <summary>Times by which experts are scheduled.</summary>
    public const int Schedule = 17;

    // Rows of several layers may be under way, of a layer those of two routings.
    private const int FirstOfLanes = 32, PerLane = 4, Branches = 2;

    /// <summary>The first part of a rank's rows for a layer's experts.</summary>
    public static int Rows(ExpertLane lane) => FirstOfLanes + PerLane * (Branches * lane.Layer + lane.Branch);

    /// <summary>What of them doesn't fit the first part.</summary>
    public static int MoreRows(ExpertLane lane) => Rows(lane) + 1;

    /// <summary>The sums of these experts.</summary>
    public static int Sums(ExpertLane lane) => Rows(lane) + 2;

    /// <summary>What a rank's rows ask of the others in a layer.</summary>
    public static int Loads(ExpertLane lane) => Rows(lane) + 3;
}
