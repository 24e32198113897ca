using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Models;

namespace DualSparse.Distributed;

/// <summary>How often calibration chose each expert, as dualsparse.json has it.</summary>
/// <param name="Layers">The layers with routed experts; null: the file doesn't say.</param>
internal sealed record ExpertCounts(IReadOnlyList<LayerCounts>? Layers)
{
    /// <summary>Reads a folder's.</summary>
    /// <param name="folder">The model's folder.</param>
    /// <param name="config">The model.</param>
    /// <returns>By layer, [experts], null where a layer has none; null where there is no file or no count in it.</returns>
    /// <exception cref="ModelFormatException">The file is damaged, or another model's.</exception>
    public static long[]?[]? Find(string folder, ModelConfig config)
    {
        if (DropProfile.Read<ExpertCounts>(folder)?.Layers is not { Count: > 0 } layers)
            return null;
        var counts = new long[]?[config.Layers];
        foreach (var layer in layers)
        {
            if (layer?.TokensPerExpert is not { } tokens)
                continue;
            int experts = layer.Layer >= 0 && layer.Layer < config.Layers && config.LayerPlan[layer.Layer].IsMoe ? config.Moe!.Experts : 0;
            if (tokens.Length != experts || Array.Exists(tokens, count => count < 0))
                throw new ModelFormatException($"{Path.Combine(folder, DropProfile.FileName)}: layer {layer.Layer} has counts of {tokens.Length} experts, expected {experts}, none below 0: make the file anew");
            counts[layer.Layer] = tokens;
        }

        return Array.Exists(counts, layer => layer is not null) ? counts : null;
    }

    /// <summary>Σ mean / Σ max of the loads of ranks, over layers: 1 is even. Layers come one after another, and each waits for its slowest rank.</summary>
    public static double Balancedness(long[]?[] counts, Func<int, int, ExpertPlacement> placement)
    {
        double mean = 0, max = 0;
        for (int l = 0; l < counts.Length; l++)
        {
            if (counts[l] is not { } layer)
                continue;
            long[] loads = placement(l, layer.Length).Loads(layer);
            (mean, max) = (mean + loads.Average(), max + loads.Max());
        }

        return max > 0 ? mean / max : 1;
    }

    /// <summary>[ranks] each rank's share of all loads, over layers.</summary>
    public static double[] Shares(long[]?[] counts, int ranks, Func<int, int, ExpertPlacement> placement)
    {
        double[] sums = new double[ranks];
        for (int l = 0; l < counts.Length; l++)
        {
            long[] loads = counts[l] is { } layer ? placement(l, layer.Length).Loads(layer) : new long[ranks];
            for (int rank = 0; rank < ranks; rank++)
                sums[rank] += loads[rank];
        }

        double all = Math.Max(1, sums.Sum());
        return [.. sums.Select(sum => sum / all)];
    }
}

/// <summary>One layer's counts.</summary>
/// <param name="Layer">Its index.</param>
/// <param name="TokensPerExpert">[experts] the tokens that chose each.</param>
internal sealed record LayerCounts(int Layer, long[]? TokensPerExpert);
