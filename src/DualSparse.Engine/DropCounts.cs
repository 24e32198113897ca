using DualSparse.Engine.Moe;
using DualSparse.Kernels.Packing;

namespace DualSparse.Engine;

/// <summary>The routed experts' work, counted from the decision on each token-expert pair. Shared experts and dense MLPs aren't counted.</summary>
/// <param name="Pairs">Token-expert pairs that the router chose.</param>
/// <param name="Dropped">Of these, pairs that were dropped.</param>
/// <param name="MajorOnly">Pairs of which the minor half was dropped.</param>
/// <param name="Neurons">Neurons of all pairs.</param>
/// <param name="NeuronsComputed">Neurons computed, without padding.</param>
public readonly record struct DropCounts(long Pairs, long Dropped, long MajorOnly, long Neurons, long NeuronsComputed)
{
    /// <summary>The drop rate: neurons not computed over neurons of all pairs; 0 if there were no pairs.</summary>
    public double Rate => Neurons == 0 ? 0 : 1 - (double)NeuronsComputed / Neurons;

    /// <summary>Counts the pairs of some tokens.</summary>
    /// <param name="routing">The routing, decided.</param>
    /// <param name="first">The first token.</param>
    /// <param name="count">The number of tokens.</param>
    /// <param name="neurons">The neurons of an expert.</param>
    internal static DropCounts Of(RoutingPlan routing, int first, int count, NeuronLayout neurons)
    {
        var computations = routing.Computations.Slice(first * routing.TopK, count * routing.TopK);
        long pairs = computations.Length, full = computations.Count(Computation.Full), major = computations.Count(Computation.Major);
        return new DropCounts(pairs, pairs - full - major, major, pairs * neurons.Neurons, full * neurons.Neurons + major * neurons.Major);
    }

    /// <summary>The sum of both.</summary>
    public static DropCounts operator +(DropCounts a, DropCounts b) => new(
        a.Pairs + b.Pairs, a.Dropped + b.Dropped, a.MajorOnly + b.MajorOnly, a.Neurons + b.Neurons, a.NeuronsComputed + b.NeuronsComputed);
}
