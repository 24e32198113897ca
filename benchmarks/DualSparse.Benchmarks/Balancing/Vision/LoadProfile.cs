using System.Text.Json;
using System.Text.Json.Nodes;
using DualSparse.Engine;
using DualSparse.Engine.Moe;

namespace DualSparse.Benchmarks.Balancing.Vision;

/// <summary>A pass's pairs of a row and an expert.</summary>
/// <param name="Rows">Rows.</param>
/// <param name="All">[layers][experts].</param>
/// <param name="Vision">[layers][experts] those of pictures' rows.</param>
internal sealed record PassLoads(int Rows, long[][] All, long[][] Vision);

/// <summary>Counts which experts see which rows, a pass after another.</summary>
/// <param name="layers">Layers.</param>
/// <param name="experts">Experts of each.</param>
internal sealed class LoadProfile(int layers, int experts)
{
    private readonly List<PassLoads> passes = [];

    /// <summary>The passes that were seen.</summary>
    public IReadOnlyList<PassLoads> Passes => passes;

    /// <summary>Watches a pass over some chunks.</summary>
    public PassWatch Watch(IReadOnlyList<SequenceChunk> chunks)
    {
        List<bool> marks = [];
        foreach (var chunk in chunks)
        {
            bool[] own = new bool[chunk.Ids.Length];
            foreach (var part in chunk.Pictures?.In(chunk.Cache.Length, own.Length) ?? [])
                own.AsSpan(part.Row, part.Count).Fill(true);
            marks.AddRange(own);
        }

        var loads = new PassLoads(marks.Count, Table(), Table());
        passes.Add(loads);
        return new PassWatch { Routed = (layer, plan) => Add(layer, plan) };

        void Add(int layer, RoutingPlan plan)
        {
            for (int i = 0; i < plan.Experts.Length; i++)
            {
                loads.All[layer][plan.Experts[i]]++;
                loads.Vision[layer][plan.Experts[i]] += marks[i / plan.TopK] ? 1 : 0;
            }
        }

        long[][] Table() => [.. Enumerable.Range(0, layers).Select(_ => new long[experts])];
    }

    /// <summary>Reads a step's.</summary>
    public static PassLoads[] Read(JsonNode step) => step["passes"].Deserialize<PassLoads[]>()!;
}
