namespace DualSparse.Engine.Moe.Balance;

/// <summary>
/// By pair, how far thresholds must rise before a half of it is dropped. Thresholds T rise in levels: at level j of B they are T·j/B, at level B they are
/// T itself. A half's level is the first at which it is dropped; B + 1: none drops it.
/// </summary>
internal sealed class DropLevels
{
    private byte[] major = [], minor = [];
    private float[] scales = [];

    /// <summary>B; 0: levels aren't kept.</summary>
    public int Count { get; private set; }

    /// <summary>[pairs] of major halves.</summary>
    public Span<byte> Major => major.AsSpan(0, Pairs);

    /// <summary>[pairs] of minor halves, none after the same pair's major half.</summary>
    public Span<byte> Minor => minor.AsSpan(0, Pairs);

    private int Pairs { get; set; }

    /// <summary>Makes room for the pairs of a layer; nothing is dropped of them.</summary>
    /// <param name="pairs">Pairs.</param>
    /// <param name="count">B, at most 254; 0: none are kept.</param>
    public void Reset(int pairs, int count)
    {
        (Pairs, Count) = (count == 0 ? 0 : pairs, count);
        if (major.Length < Pairs)
            (major, minor) = (new byte[pairs], new byte[pairs]);
        if (scales.Length != count + 1)
            scales = [.. Enumerable.Range(0, count + 1).Select(j => (float)j / Math.Max(1, count))];
        Major.Fill((byte)(count + 1));
        Minor.Fill((byte)(count + 1));
    }

    /// <summary>Sets a pair's levels.</summary>
    /// <param name="pair">The pair.</param>
    /// <param name="score">Its score.</param>
    /// <param name="best">Whether it is its token's best.</param>
    /// <param name="thresholds">T.</param>
    /// <param name="guard">Whether a token's best keeps its major half.</param>
    public void Set(int pair, float score, bool best, DropThresholds thresholds, bool guard)
    {
        minor[pair] = First(score, thresholds.Minor);
        major[pair] = best && guard ? (byte)(Count + 1) : First(score, thresholds.Major);
    }

    /// <summary>What is computed of a pair at a level; at B what <see cref="Drop.DropPolicy.Decide"/> says.</summary>
    public Computation At(int pair, int level) => minor[pair] > level ? Computation.Full : major[pair] > level ? Computation.Major : Computation.Drop;

    // A product with a larger factor isn't smaller, however it is rounded: from a guess the first level is near.
    private byte First(float score, float threshold)
    {
        int level = Math.Clamp((int)(score / threshold * Count), 0, Count);
        while (level > 0 && Dropped(level))
            level--;
        do
            level++;
        while (level <= Count && !Dropped(level));
        return (byte)level;

        bool Dropped(int at) => !(score >= threshold * scales[at]);
    }
}
