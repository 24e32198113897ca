using DualSparse.Kernels.Packing;

namespace DualSparse.Engine.Moe.Balance;

/// <summary>
/// The predicted time of each rank's experts by the roofline, max(bytes / bandwidth, operations / rate): a rank whose experts are read anyway gains
/// nothing from fewer rows. It never grows with the level of the rank's thresholds.
/// </summary>
/// <param name="table">What rows ask for.</param>
/// <param name="placement">Which rank has which part.</param>
/// <param name="neurons">Where a part's neurons lie.</param>
/// <param name="hidden">D.</param>
/// <param name="weightBytes">Bytes of a weight.</param>
/// <param name="rates">The machine's.</param>
/// <param name="low">What ranks may switch to.</param>
internal sealed class LoadTimes(LoadTable table, ExpertPlacement placement, NeuronLayout neurons, int hidden, double weightBytes, ExpertRates rates, LowFormat low = LowFormat.Int8)
{
    // Gate, up and down.
    private const int Matrices = 3;

    /// <summary>What rows ask for.</summary>
    public LoadTable Table => table;

    /// <summary>Ranks.</summary>
    public int Ranks => placement.Ranks;

    // Of the formats themselves, not of their emulation; scales aren't counted.
    private double LowBytes => low == LowFormat.Int8 ? 1 : 0.5;

    /// <summary>Seconds of a rank's experts.</summary>
    /// <param name="rank">The rank.</param>
    /// <param name="level">The level of its thresholds.</param>
    public double Seconds(int rank, int level) =>
        Math.Max(Weights(rank, level) * weightBytes / rates.BytesPerSecond, Operations(rank, level) / rates.OperationsPerSecond);

    /// <summary>The same in the lower precision, its conversion included: nothing is taken to hide it.</summary>
    public double LowSeconds(int rank, int level) =>
        Weights(rank, level) * weightBytes / rates.ConvertBytesPerSecond
        + Math.Max(Weights(rank, level) * LowBytes / rates.BytesPerSecond, Operations(rank, level) / rates.LowOperationsPerSecond);

    /// <summary>Seconds of a rank as it computes.</summary>
    /// <param name="rank">The rank.</param>
    /// <param name="level">The level of its thresholds.</param>
    /// <param name="isLow">[ranks] which have switched; empty: none has.</param>
    public double Seconds(int rank, int level, ReadOnlySpan<bool> isLow) => !isLow.IsEmpty && isLow[rank] ? LowSeconds(rank, level) : Seconds(rank, level);

    private double Operations(int rank, int level) => 2.0 * Matrices * hidden * table.Neurons(rank, level);

    // Weights that are read.
    private double Weights(int rank, int level)
    {
        long read = 0;
        var rankOf = placement.RankOf;
        for (int part = 0; part < rankOf.Length; part++)
        {
            if (rankOf[part] != rank)
                continue;
            var (major, minor) = table.Reads(part, level);
            read += (major ? neurons.Major : 0) + (minor ? neurons.Neurons - neurons.Major : 0);
        }

        return (double)Matrices * hidden * read;
    }
}
