namespace DualSparse.Engine.Moe;

/// <summary>Which rank computes which expert of a layer. Ranks without experts are allowed, and shares needn't be even.</summary>
internal sealed class ExpertPlacement
{
    private readonly int[] rankOf, indexOf;

    /// <summary>A placement.</summary>
    /// <param name="ranks">Ranks, at least one.</param>
    /// <param name="rankOf">[experts] each one's rank.</param>
    /// <exception cref="ArgumentException">An expert's rank is none of them.</exception>
    public ExpertPlacement(int ranks, int[] rankOf)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(ranks, 1);
        if (Array.FindIndex(rankOf, rank => rank < 0 || rank >= ranks) is >= 0 and var wrong)
            throw new ArgumentException($"expert {wrong} is on rank {rankOf[wrong]}, expected 0 to {ranks - 1}");
        (Ranks, this.rankOf, indexOf) = (ranks, [.. rankOf], new int[rankOf.Length]);
        int[] counts = new int[ranks];
        for (int e = 0; e < rankOf.Length; e++)
            indexOf[e] = counts[rankOf[e]]++;
    }

    /// <summary>The number of ranks.</summary>
    public int Ranks { get; }

    /// <summary>[experts] each one's rank.</summary>
    public ReadOnlySpan<int> RankOf => rankOf;

    /// <summary>[experts] each one's index among those of its rank.</summary>
    public ReadOnlySpan<int> IndexOf => indexOf;

    /// <summary>The experts of a rank, in their order.</summary>
    public int[] ExpertsOf(int rank) => [.. Enumerable.Range(0, rankOf.Length).Where(e => rankOf[e] == rank)];

    /// <summary>All experts on one rank.</summary>
    public static ExpertPlacement SingleRank(int experts) => new(1, new int[experts]);

    /// <summary>Consecutive experts on each rank, in shares as even as possible.</summary>
    public static ExpertPlacement Blocks(int ranks, int experts) => new(ranks, [.. Enumerable.Range(0, experts).Select(e => (int)((long)e * ranks / experts))]);
}
