using DualSparse.Cli.Hosting;
using DualSparse.Distributed;
using DualSparse.Engine;
using DualSparse.Engine.Loading;
using DualSparse.Kernels;
using DualSparse.Models.Safetensors;

namespace DualSparse.Cli.Commands;

/// <summary>The memory that the weights of one rank take, by weight format.</summary>
internal sealed record RankNeed(OrderedDictionary<string, long> Bytes);

/// <summary>What <c>inspect --ranks</c> shows.</summary>
/// <param name="Placement">How experts are placed.</param>
/// <param name="Reason">Why so.</param>
/// <param name="Ranks">Each rank's memory.</param>
internal sealed record RankMemory(string Placement, string Reason, RankNeed[] Ranks)
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
        return new(chosen.Name, chosen.Reason, [.. Enumerable.Range(0, ranks).Select(rank => new RankNeed(new(Enum.GetValues<WeightFormat>().Select(f => KeyValuePair.Create(Figures.Name(f), Bytes(f, rank))))))]);

        long Bytes(WeightFormat format, int rank)
        {
            var options = chosen.Apply(new EngineOptions { Weights = format, Rank = rank });
            return MemoryNeed.WeightBytes(checkpoint.Config, options);
        }
    }
}
