namespace DualSparse.Engine.Moe;

/// <summary>
/// Which rank computes which part of which expert of a layer. A part has an equal share of the major half's neurons and of the minor half's, so that
/// every rank has its share of work whatever is dropped; an expert of one part is whole. Ranks without parts are allowed, and shares needn't be even.
/// </summary>
internal sealed class ExpertPlacement
{
    private readonly int[] rankOf, indexOf;

    /// <summary>A placement.</summary>
    /// <param name="ranks">Ranks, at least one.</param>
    /// <param name="rankOf">[experts · parts] the rank of part p of expert e at e · parts + p.</param>
    /// <param name="parts">The parts of each expert, at least one.</param>
    /// <exception cref="ArgumentException">A rank is none of them.</exception>
    public ExpertPlacement(int ranks, int[] rankOf, int parts = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(ranks, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(parts, 1);
        if (Array.FindIndex(rankOf, rank => rank < 0 || rank >= ranks) is >= 0 and var wrong)
            throw new ArgumentException($"expert {wrong / parts} is on rank {rankOf[wrong]}, expected 0 to {ranks - 1}");
        (Ranks, Parts, this.rankOf, indexOf) = (ranks, parts, [.. rankOf], new int[rankOf.Length]);
        int[] counts = new int[ranks];
        for (int part = 0; part < rankOf.Length; part++)
            indexOf[part] = counts[rankOf[part]]++;
    }

    /// <summary>The number of ranks.</summary>
    public int Ranks { get; }

    /// <summary>The number of parts of each expert.</summary>
    public int Parts { get; }

    /// <summary>The number of experts.</summary>
    public int Experts => rankOf.Length / Parts;

    /// <summary>[experts · parts] each part's rank.</summary>
    public ReadOnlySpan<int> RankOf => rankOf;

    /// <summary>[experts · parts] each part's index among those of its rank.</summary>
    public ReadOnlySpan<int> IndexOf => indexOf;

    /// <summary>The parts of a rank, in their order.</summary>
    public int[] PartsOf(int rank) => [.. Enumerable.Range(0, rankOf.Length).Where(part => rankOf[part] == rank)];

    /// <summary>Whether an expert can be cut so.</summary>
    /// <param name="neurons">F.</param>
    /// <param name="parts">Parts.</param>
    public static bool CanCut(int neurons, int parts) => (neurons + 1) / 2 % parts == 0 && neurons / 2 % parts == 0;

    /// <summary>The neurons of a part, in their order: its share of the major half, then of the minor half.</summary>
    /// <param name="neurons">F.</param>
    /// <param name="part">Which part.</param>
    /// <exception cref="ArgumentException">An expert can't be cut so.</exception>
    public int[] NeuronsOf(int neurons, int part)
    {
        if (!CanCut(neurons, Parts))
            throw new ArgumentException($"experts of {neurons} neurons can't be cut into {Parts} parts, each with an equal share of either half");
        int major = (neurons + 1) / 2, ofMajor = major / Parts, ofMinor = neurons / 2 / Parts, p = part % Parts;
        return [.. Enumerable.Range(p * ofMajor, ofMajor), .. Enumerable.Range(major + p * ofMinor, ofMinor)];
    }

    /// <summary>All experts on one rank.</summary>
    public static ExpertPlacement SingleRank(int experts) => new(1, new int[experts]);

    /// <summary>
    /// First parts of all experts, then their second parts…, dealt out in blocks as even as possible. One part: whole experts on each rank. As many
    /// parts as ranks: a slice of every expert on each. Between them: expert parallelism over parts.
    /// </summary>
    public static ExpertPlacement Blocks(int ranks, int experts, int parts = 1)
    {
        int[] rankOf = new int[experts * parts];
        for (int e = 0; e < experts; e++)
        {
            for (int p = 0; p < parts; p++)
                rankOf[e * parts + p] = (int)(((long)p * experts + e) * ranks / rankOf.Length);
        }

        return new(ranks, rankOf, parts);
    }

    /// <summary>
    /// Parts dealt out by the loads of their experts, the heaviest first, each to the least loaded rank that has room, where possible one without
    /// another part of the expert. No rank has more than ⌈parts / ranks⌉ parts, so that memory is even. Where blocks would be as even, they are taken.
    /// </summary>
    /// <param name="ranks">Ranks, at least one.</param>
    /// <param name="loads">[experts] how often each expert is chosen.</param>
    /// <param name="parts">The parts of each expert.</param>
    public static ExpertPlacement Packed(int ranks, IReadOnlyList<long> loads, int parts = 1)
    {
        int experts = loads.Count, room = (experts * parts + ranks - 1) / ranks;
        int[] rankOf = new int[experts * parts], counts = new int[ranks], last = new int[ranks];
        long[] taken = new long[ranks];
        Array.Fill(last, -1);
        foreach (int e in Enumerable.Range(0, experts).OrderByDescending(e => loads[e]))
        {
            for (int p = 0; p < parts; p++)
            {
                int rank = Enumerable.Range(0, ranks).Where(r => counts[r] < room).MinBy(r => (last[r] == e, taken[r], counts[r], r));
                (rankOf[e * parts + p], last[rank]) = (rank, e);
                counts[rank]++;
                taken[rank] += loads[e];
            }
        }

        ExpertPlacement packed = new(ranks, rankOf, parts), blocks = Blocks(ranks, experts, parts);
        return blocks.Loads(loads).Max() <= taken.Max() ? blocks : packed;
    }

    /// <summary>[ranks] the load of each rank's parts, in parts of an expert: the sum over its parts of their experts' loads.</summary>
    /// <param name="loads">[experts] how often each expert is chosen.</param>
    public long[] Loads(IReadOnlyList<long> loads)
    {
        long[] sums = new long[Ranks];
        for (int part = 0; part < rankOf.Length; part++)
            sums[rankOf[part]] += loads[part / Parts];
        return sums;
    }
}
