namespace DualSparse.Distributed.Measuring;

/// <summary>
/// E·T ranks: the experts are shared out over E groups in blocks as even as possible, and each is cut into T parts, one on each rank of its group.
/// The ranks of a group are neighbours, so that they share a machine where several do.
/// </summary>
/// <param name="Groups">E: groups, each with other experts.</param>
/// <param name="Parts">T: parts of each expert.</param>
internal sealed record ExpertArrangement(int Groups, int Parts)
{
    /// <summary>E·T.</summary>
    public int Ranks => Groups * Parts;

    /// <summary>How it is written.</summary>
    public string Name => $"{Groups}×{Parts}";

    /// <summary>A rank's group.</summary>
    public int GroupOf(int rank) => rank / Parts;

    /// <summary>The part that a rank has of each of its experts.</summary>
    public int PartOf(int rank) => rank % Parts;

    /// <summary>The rank with a part of a group's experts.</summary>
    public int RankOf(int group, int part) => group * Parts + part;

    /// <summary>
    /// The step in which a rank sends to another where each sends to one at a time: in every step each rank has one that it sends to and one that
    /// it receives from. Within a group, and between ranks of one part, too.
    /// </summary>
    public int StepOf(int from, int to) =>
        (GroupOf(to) - GroupOf(from) + Groups) % Groups * Parts + (PartOf(to) - PartOf(from) + Parts) % Parts;

    /// <summary>The group that has an expert.</summary>
    public int GroupOfExpert(int expert, int experts) => (int)((long)expert * Groups / experts);

    /// <summary>All arrangements of so many ranks, from one group to one part.</summary>
    public static IReadOnlyList<ExpertArrangement> All(int ranks) =>
        [.. Enumerable.Range(1, ranks).Where(groups => ranks % groups == 0).Select(groups => new ExpertArrangement(groups, ranks / groups))];
}
