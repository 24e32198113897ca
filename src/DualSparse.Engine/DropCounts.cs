using DualSparse.Engine.Moe;
using DualSparse.Kernels.Packing;

namespace DualSparse.Engine;

/// <summary>The routed experts' work, counted from what was decided of each pair; shared experts and dense MLPs are not in it.</summary>
/// <param name="Pairs">Token-expert pairs that the router chose.</param>
/// <param name="Dropped">Of these, pairs skipped.</param>
/// <param name="MajorOnly">Pairs of which only the major half was computed.</param>
/// <param name="Neurons">Neurons of all pairs.</param>
/// <param name="NeuronsComputed">Neurons computed, without padding.</param>
public readonly record struct DropCounts(long Pairs, long Dropped, long MajorOnly, long Neurons, long NeuronsComputed)
{
    /// <summary>The drop rate: neurons not computed over neurons of all pairs; 0 where there was no pair.</summary>
    public double Rate => Neurons == 0 ? 0 : 1 - (double)NeuronsComputed / Neurons;

    /// <summary>Counts some tokens of a routing.</summary>
    /// <param name="routing">Decided.</param>
    /// <param name="first">The first token.</param>
    /// <param name="count">How many.</param>
    /// <param name="neurons">An expert's.</param>
    internal static DropCounts Of(RoutingPlan routing, int first, int count, NeuronLayout neurons)
    {
        var computations = routing.Computations.Slice(first * routing.TopK, count * routing.TopK);
        long pairs = computations.Length, full = computations.Count(Computation.Full), major = computations.Count(Computation.Major);
        return new DropCounts(pairs, pairs - full - major, major, pairs * neurons.Neurons, full * neurons.Neurons + major * neurons.Major);
    }

    /// <summary>Both together.</summary>
    public static DropCounts operator +(DropCounts a, DropCounts b) => new(
        a.Pairs + b.Pairs, a.Dropped + b.Dropped, a.MajorOnly + b.MajorOnly, a.Neurons + b.Neurons, a.NeuronsComputed + b.NeuronsComputed);
}
