using DualSparse.Engine.Serving;

namespace DualSparse.Training.Data;

/// <summary>What random numbers of a run are for: each purpose has its own.</summary>
internal enum RandomPurpose
{
    /// <summary>A tensor's first values; one stream a tensor.</summary>
    Initialisation,

    /// <summary>The order of windows; one stream an epoch.</summary>
    WindowOrder,
}

/// <summary>The random numbers of a run: by its seed, by what they are for, and by a number, so that each of them can be made alone.</summary>
internal static class RandomStream
{
    /// <summary>The generator of one stream.</summary>
    public static SplitMix64 Of(ulong seed, RandomPurpose purpose, long index) => SplitMix64.Stream(seed, (ulong)purpose, index);
}
