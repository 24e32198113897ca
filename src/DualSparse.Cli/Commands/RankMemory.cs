using DualSparse.Cli.Hosting;
using DualSparse.Distributed;
using DualSparse.Engine;
using DualSparse.Engine.Loading;
using DualSparse.Kernels;
using DualSparse.Models.Safetensors;

namespace DualSparse.Cli.Commands;

/// <summary>The memory that the weights of one rank take, by weight format, and its share of the routed work of the calibration text; null: nobody counted.</summary>
internal sealed record RankNeed(OrderedDictionary<string, long> Bytes, double? Share);

/// <summary>What <c>inspect --ranks</c> shows.</summary>
/// <param name="Placement">How experts are placed.</param>
/// <param name="Reason">Why so.</param>
/// <param name="Balancedness">Mean over highest load of ranks by calibrated counts; null: nobody counted.</param>
/// <param name="Ranks">Each rank's memory.</param>
internal sealed record RankMemory(string Placement, string Reason, double? Balancedness, RankNeed[] Ranks)
{
    /// <summary>Reads it for a model's folder.</summary>
    /// <exception cref="ArgumentException">The model can't be placed so.</exception>
    /// <exception cref="Models.ModelFormatException">It is no model that can be run.</exception>
    public static RankMemory Read(string folder, int ranks, string? placement)
    {
        if (ranks < 1)
            throw new ArgumentException($"--ranks is {ranks}, expected at least 1");
        using var checkpoint = Checkpoint.Open(folder);
        var chosen = RankPlacement.Choose(folder, ranks, placement is null ? null : PlacementKind.Parse(placement));
        double[]? shares = chosen.Shares();
        return new(chosen.Name, chosen.Reason, chosen.Balancedness(), [.. Enumerable.Range(0, ranks).Select(rank => new RankNeed(
            new(Enum.GetValues<WeightFormat>().Select(f => KeyValuePair.Create(Figures.Name(f), Bytes(f, rank)))), shares?[rank]))]);

        long Bytes(WeightFormat format, int rank)
        {
            var options = chosen.Apply(new EngineOptions { Weights = format, Rank = rank });
            return MemoryNeed.WeightBytes(checkpoint.Config, options);
        }
    }
}
