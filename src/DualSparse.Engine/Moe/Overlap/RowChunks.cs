namespace DualSparse.Engine.Moe.Overlap;

/// <summary>THE rule of how many pieces a rank's rows travel in: experts begin with the first while the next is under way, and its sums go back meanwhile.</summary>
internal static class RowChunks
{
    // Each piece reads its experts again, unless it comes with others: with fewer rows that would cost more than arithmetic.
    private const int LeastRows = 512;

    // Of two equal halves one travels while the other is computed; more would be waited for no less.
    private const int Most = 2;

    /// <summary>Pieces of a pass in which a rank has so many rows.</summary>
    public static int Of(int rows) => Math.Clamp(rows / LeastRows, 1, Most);

    /// <summary>The first row of a piece; of the piece behind the last, the number of rows.</summary>
    public static int First(int rows, int chunk) => (int)((long)rows * chunk / Of(rows));
}
