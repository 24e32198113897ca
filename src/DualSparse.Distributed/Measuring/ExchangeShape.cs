namespace DualSparse.Distributed.Measuring;

/// <summary>What is exchanged: each rank's rows, and the experts they go to.</summary>
/// <param name="Tokens">Rows of each rank.</param>
/// <param name="Hidden">Values of a row.</param>
/// <param name="Experts">Experts of the layer.</param>
/// <param name="TopK">Experts of a row.</param>
/// <param name="Zipf">The exponent of the experts' popularity: expert i is wanted in proportion to (i + 1)^−Zipf; 0: all alike.</param>
/// <param name="Rows">How rows travel to the experts.</param>
/// <param name="Sums">How their weighted sums travel back.</param>
internal sealed record ExchangeShape(int Tokens, int Hidden, int Experts, int TopK, double Zipf, WireFormat Rows, WireFormat Sums)
{
    /// <summary>Bytes of a row on its way: the number and weight of each of its experts, then its values.</summary>
    public int RowBytes => TopK * (sizeof(int) + sizeof(float)) + Hidden * Rows.Bytes();

    /// <summary>Bytes of a sum on its way.</summary>
    public int SumBytes => Hidden * Sums.Bytes();

    /// <summary>What a device puts in, by which the paper measures bandwidth: its rows, before any is sent to several ranks.</summary>
    public long InputBytes => (long)Tokens * Hidden * Rows.Bytes();

    /// <summary>Checks what somebody asks for.</summary>
    /// <exception cref="ArgumentException">It can't be; the message says what and why.</exception>
    public void Check()
    {
        foreach (var (name, value) in new[] { ("tokens", Tokens), ("hidden", Hidden), ("experts", Experts), ("top-k", TopK) })
        {
            if (value < 1)
                throw new ArgumentException($"--{name} is {value}, expected at least 1");
        }

        if (TopK > Experts)
            throw new ArgumentException($"--top-k is {TopK}, but there are {Experts} experts: expected at most as many");
        if (!(Zipf is >= 0 and <= MostSkewed))
            throw new ArgumentException($"--zipf is {Zipf}, expected 0 (all experts alike) to {MostSkewed}");
        if ((long)Tokens * Math.Max(RowBytes, SumBytes) > int.MaxValue)
            throw new ArgumentException($"{Tokens} tokens of {Hidden} values are more than the 2 GiB of a message: take fewer --tokens");
    }

    // Beyond it nearly every row takes the same experts.
    private const int MostSkewed = 4;
}
