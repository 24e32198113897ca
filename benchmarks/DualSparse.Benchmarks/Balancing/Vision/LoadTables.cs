using DualSparse.Engine.Moe;

namespace DualSparse.Benchmarks.Balancing.Vision;

/// <summary>A layer over ranks, passes summed up.</summary>
/// <param name="Loads">[ranks] the share of pairs over the mean rank's.</param>
/// <param name="Vision">[ranks] the share of them that are of pictures' rows.</param>
/// <param name="Over">Σ of the highest load of each pass over Σ of the mean.</param>
/// <param name="Hot">The share of passes' ranks above the mean …</param>
/// <param name="HotVision">… and of those with mostly pictures' rows (M_d 0.7) too.</param>
internal sealed record RankLoads(double[] Loads, double[] Vision, double Over, double Hot, double HotVision);

/// <summary>
/// Loads of experts and of ranks. Experts are in the checkpoint's order, or packed by the counts of the first half of passes; figures are the other
/// half's. Short passes, in which choices are continued, are left out.
/// </summary>
internal sealed class LoadTables
{
    private const double MarkedAbove = 0.7;

    private readonly PassLoads[] known, seen;

    /// <summary>Takes passes.</summary>
    public LoadTables(IReadOnlyList<PassLoads> passes, IReadOnlyList<int> ranks)
    {
        Ranks = ranks;
        int longest = passes.Max(pass => pass.Rows);
        PassLoads[] all = [.. passes.Where(pass => pass.Rows > longest / 2)];
        // Alternately: tasks follow one another.
        (known, seen) = all.Length < 2 ? (all, all) : ([.. all.Where((_, i) => i % 2 == 0)], [.. all.Where((_, i) => i % 2 == 1)]);
    }

    /// <summary>Counts of ranks.</summary>
    public IReadOnlyList<int> Ranks { get; }

    /// <summary>Passes that figures are of.</summary>
    public int Passes => seen.Length;

    /// <summary>Rows of a pass, on average.</summary>
    public double Rows => seen.Average(pass => pass.Rows);

    /// <summary>The share of pictures' rows.</summary>
    public double VisionShare => Share(seen.SelectMany(pass => pass.Vision), seen.SelectMany(pass => pass.All));

    /// <summary>Layers.</summary>
    public int Layers => seen[0].All.Length;

    /// <summary>[layers][experts] pairs of each expert over the mean expert's.</summary>
    public double[][] Experts => [.. Enumerable.Range(0, Layers).Select(layer => OverMean(Sum(seen, pass => pass.All[layer])))];

    /// <summary>[layers][experts] the share of them that are of pictures' rows.</summary>
    public double[][] ExpertVision => [.. Enumerable.Range(0, Layers).Select(layer => Shares(Sum(seen, pass => pass.Vision[layer]), Sum(seen, pass => pass.All[layer])))];

    /// <summary>A layer over so many ranks.</summary>
    /// <param name="layer">Which.</param>
    /// <param name="ranks">N.</param>
    /// <param name="packed">Whether experts are dealt out by counts.</param>
    public RankLoads Of(int layer, int ranks, bool packed)
    {
        int experts = seen[0].All[layer].Length;
        var placement = packed ? ExpertPlacement.Packed(ranks, Sum(known, pass => pass.All[layer])) : ExpertPlacement.Blocks(ranks, experts);
        double highest = 0, mean = 0;
        int hot = 0, hotVision = 0;
        foreach (var pass in seen)
        {
            long[] loads = placement.Loads(pass.All[layer]), vision = placement.Loads(pass.Vision[layer]);
            (highest, mean) = (highest + loads.Max(), mean + loads.Average());
            for (int rank = 0; rank < ranks; rank++)
            {
                bool isHot = loads[rank] > loads.Average();
                (hot, hotVision) = (hot + (isHot ? 1 : 0), hotVision + (isHot && vision[rank] > MarkedAbove * loads[rank] ? 1 : 0));
            }
        }

        long[] all = placement.Loads(Sum(seen, pass => pass.All[layer])), marked = placement.Loads(Sum(seen, pass => pass.Vision[layer]));
        return new RankLoads(OverMean(all), Shares(marked, all), highest / mean, (double)hot / (ranks * seen.Length), (double)hotVision / (ranks * seen.Length));
    }

    private static long[] Sum(IEnumerable<PassLoads> passes, Func<PassLoads, long[]> counts) =>
        passes.Select(counts).Aggregate((a, b) => [.. a.Zip(b, (x, y) => x + y)]);

    private static double[] OverMean(long[] counts) => [.. counts.Select(count => count / Math.Max(1, counts.Average()))];

    private static double[] Shares(long[] of, long[] all) => [.. of.Zip(all, (part, whole) => whole > 0 ? (double)part / whole : 0)];

    private static double Share(IEnumerable<long[]> of, IEnumerable<long[]> all) => (double)of.Sum(counts => counts.Sum()) / all.Sum(counts => counts.Sum());
}
