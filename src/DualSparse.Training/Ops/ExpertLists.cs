namespace DualSparse.Training.Ops;

/// <summary>The pairs of a token and an expert, by expert and then by token: row r is one of them.</summary>
internal sealed class ExpertLists
{
    /// <summary>[experts + 1]: an expert's rows are First[e] to First[e + 1] − 1.</summary>
    public int[] First { get; private set; } = [];

    /// <summary>[rows] the token.</summary>
    public int[] Tokens { get; private set; } = [];

    /// <summary>[rows] the pair's place among the routing's [tokens, k].</summary>
    public int[] Pairs { get; private set; } = [];

    /// <summary>[tokens · k] the row of a pair.</summary>
    public int[] RowOf { get; private set; } = [];

    /// <summary>Rows of all experts.</summary>
    public int Rows => Tokens.Length;

    /// <summary>Sorts the choice of a batch.</summary>
    /// <param name="experts">[tokens, k].</param>
    /// <param name="topK">k.</param>
    /// <param name="count">Experts.</param>
    public void Build(ReadOnlySpan<int> experts, int topK, int count)
    {
        First = new int[count + 1];
        if (Tokens.Length != experts.Length)
            (Tokens, Pairs, RowOf) = (new int[experts.Length], new int[experts.Length], new int[experts.Length]);
        foreach (int e in experts)
            First[e + 1]++;
        for (int e = 0; e < count; e++)
            First[e + 1] += First[e];
        int[] next = First[..^1];
        for (int pair = 0; pair < experts.Length; pair++)
        {
            int row = next[experts[pair]]++;
            (Tokens[row], Pairs[row], RowOf[pair]) = (pair / topK, pair, row);
        }
    }

    /// <summary>Pieces of at most <paramref name="rows"/> rows, each of one expert.</summary>
    public List<(int Expert, int First, int Count)> Pieces(int rows)
    {
        List<(int, int, int)> pieces = [];
        for (int e = 0; e + 1 < First.Length; e++)
        {
            for (int row = First[e]; row < First[e + 1]; row += rows)
                pieces.Add((e, row, Math.Min(rows, First[e + 1] - row)));
        }

        return pieces;
    }
}
