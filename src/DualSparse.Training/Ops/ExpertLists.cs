namespace DualSparse.Training.Ops;

/// <summary>
/// The pairs of a token and an expert as the experts read them: by expert, then by the part that the token is of, then by token. Row r is one of them.
/// </summary>
internal sealed class ExpertLists
{
    // [experts · parts + 1]: the rows of a group are first[g] to first[g + 1] − 1.
    private int[] first = [];
    private int parts = 1;

    /// <summary>Experts that have rows here: <see cref="FirstExpert"/> and the following ones.</summary>
    public int Experts { get; private set; }

    /// <summary>The first of them.</summary>
    public int FirstExpert { get; private set; }

    /// <summary>Parts.</summary>
    public int Parts => parts;

    /// <summary>Tokens.</summary>
    public int TokenCount => FirstPair.Length - 1;

    /// <summary>[tokens + 1]: a token's pairs are FirstPair[t] to FirstPair[t + 1] − 1.</summary>
    public int[] FirstPair { get; private set; } = [0];

    /// <summary>Pairs of a token at most.</summary>
    public int MostPairs { get; private set; }

    /// <summary>[rows] the token.</summary>
    public int[] Tokens { get; private set; } = [];

    /// <summary>[rows] the pair.</summary>
    public int[] Pairs { get; private set; } = [];

    /// <summary>[rows] the expert.</summary>
    public int[] ExpertOf { get; private set; } = [];

    /// <summary>[pairs] the row of a pair.</summary>
    public int[] RowOf { get; private set; } = [];

    /// <summary>Rows of all experts.</summary>
    public int Rows => Tokens.Length;

    /// <summary>Sorts the choice of a batch, every token's in turn.</summary>
    /// <param name="experts">[tokens, k].</param>
    /// <param name="topK">k.</param>
    /// <param name="count">Experts.</param>
    public void Build(ReadOnlySpan<int> experts, int topK, int count)
    {
        int tokens = experts.Length / topK;
        if (FirstPair.Length != tokens + 1 || FirstPair[^1] != experts.Length)
            FirstPair = [.. Enumerable.Range(0, tokens + 1).Select(t => t * topK)];
        Build(experts, FirstPair, [0, tokens], 0, count);
    }

    /// <summary>Sorts the pairs of tokens that have any number of them here.</summary>
    /// <param name="experts">[pairs] each pair's expert, token by token.</param>
    /// <param name="firstPair">See <see cref="FirstPair"/>.</param>
    /// <param name="firstToken">[parts + 1]: a part's tokens.</param>
    /// <param name="firstExpert">The first expert that has rows here.</param>
    /// <param name="count">How many have.</param>
    public void Build(ReadOnlySpan<int> experts, int[] firstPair, ReadOnlySpan<int> firstToken, int firstExpert, int count)
    {
        (FirstPair, FirstExpert, Experts, parts) = (firstPair, firstExpert, count, firstToken.Length - 1);
        first = new int[count * parts + 1];
        MostPairs = 0;
        for (int t = 0; t + 1 < firstPair.Length; t++)
            MostPairs = Math.Max(MostPairs, firstPair[t + 1] - firstPair[t]);
        if (Tokens.Length != experts.Length)
            (Tokens, Pairs, RowOf, ExpertOf) = (new int[experts.Length], new int[experts.Length], new int[experts.Length], new int[experts.Length]);
        for (int part = 0; part < parts; part++)
        {
            foreach (int e in experts[firstPair[firstToken[part]]..firstPair[firstToken[part + 1]]])
                first[Group(e, part) + 1]++;
        }

        for (int g = 0; g + 1 < first.Length; g++)
            first[g + 1] += first[g];
        int[] next = first[..^1];
        for (int part = 0; part < parts; part++)
        {
            for (int token = firstToken[part]; token < firstToken[part + 1]; token++)
            {
                for (int pair = firstPair[token]; pair < firstPair[token + 1]; pair++)
                {
                    int row = next[Group(experts[pair], part)]++;
                    (Tokens[row], Pairs[row], ExpertOf[row], RowOf[pair]) = (token, pair, experts[pair], row);
                }
            }
        }
    }

    /// <summary>The rows of an expert, of all parts.</summary>
    /// <param name="local">Which of those here.</param>
    public (int First, int Count) RowsOf(int local) => (first[local * parts], first[(local + 1) * parts] - first[local * parts]);

    /// <summary>The rows of an expert of one part.</summary>
    /// <param name="local">Which of those here.</param>
    /// <param name="part">The part.</param>
    public (int First, int Count) RowsOf(int local, int part) => (first[local * parts + part], first[local * parts + part + 1] - first[local * parts + part]);

    /// <summary>Pieces of at most <paramref name="rows"/> rows, each of one expert.</summary>
    public List<(int Local, int First, int Count)> Pieces(int rows)
    {
        List<(int, int, int)> pieces = [];
        for (int local = 0; local < Experts; local++)
        {
            var (from, count) = RowsOf(local);
            for (int row = from; row < from + count; row += rows)
                pieces.Add((local, row, Math.Min(rows, from + count - row)));
        }

        return pieces;
    }

    private int Group(int expert, int part) => (expert - FirstExpert) * parts + part;
}
