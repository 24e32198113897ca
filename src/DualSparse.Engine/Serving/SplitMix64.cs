namespace DualSparse.Engine.Serving;

/// <summary>
/// The SplitMix64 generator (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): its numbers are the same on
/// every machine and in every version of .NET.
/// </summary>
/// <param name="seed">Any number.</param>
internal struct SplitMix64(ulong seed)
{
    // 2^64 divided by the golden ratio, made odd: the increment of the paper, and its two mixing factors.
    private const ulong Increment = 0x9E3779B97F4A7C15, Mix1 = 0xBF58476D1CE4E5B9, Mix2 = 0x94D049BB133111EB;
    private ulong state = seed;

    /// <summary>One of a seed's many sequences, by what its numbers are for and by a number, so that each can be made alone.</summary>
    /// <param name="seed">The seed.</param>
    /// <param name="purpose">What they are for.</param>
    /// <param name="index">Which.</param>
    public static SplitMix64 Stream(ulong seed, ulong purpose, long index)
    {
        // Seeds that lie near each other, or an increment of the generator apart, must not give one sequence: each part is mixed in turn.
        ulong state = new SplitMix64(seed).Next() + purpose;
        state = new SplitMix64(state).Next() ^ (ulong)index;
        return new SplitMix64(new SplitMix64(state).Next());
    }

    /// <summary>The next 64 bits.</summary>
    public ulong Next()
    {
        ulong z = state += Increment;
        z = (z ^ z >> 30) * Mix1;
        z = (z ^ z >> 27) * Mix2;
        return z ^ z >> 31;
    }

    /// <summary>A multiple of 2⁻⁵³ in [0, 1), each equally likely.</summary>
    public double NextUnit() => (Next() >> 11) * (1.0 / (1L << 53));
}
