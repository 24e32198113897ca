using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Engine.Moe;

/// <summary>The routed experts' work, counted from the rows that were multiplied; shared experts and dense MLPs are not in it.</summary>
/// <param name="Pairs">Token-expert pairs that the router chose.</param>
/// <param name="Dropped">Of these, pairs skipped.</param>
/// <param name="MajorOnly">Pairs of which only the major half was computed.</param>
/// <param name="Neurons">Neurons of all pairs.</param>
/// <param name="NeuronsComputed">Neurons computed, without padding.</param>
public readonly record struct DropCounts(long Pairs, long Dropped, long MajorOnly, long Neurons, long NeuronsComputed)
{
    /// <summary>The drop rate: neurons not computed over neurons of all pairs; 0 where there was no pair.</summary>
    public double Rate => Neurons == 0 ? 0 : 1 - (double)NeuronsComputed / Neurons;

    /// <summary>Counts a batch: what its lists hold is what will be multiplied.</summary>
    /// <param name="batch">The rows by expert.</param>
    /// <param name="pairs">Pairs that the router chose.</param>
    /// <param name="neurons">An expert's.</param>
    public static DropCounts Of(ExpertBatch batch, long pairs, NeuronLayout neurons)
    {
        long full = 0;
        foreach (var expert in batch.Experts)
            full += expert.Full;
        long rows = batch.Tokens.Count, major = rows - full;
        return new DropCounts(pairs, pairs - rows, major, pairs * neurons.Neurons, full * neurons.Neurons + major * neurons.Major);
    }

    /// <summary>Both together.</summary>
    public static DropCounts operator +(DropCounts a, DropCounts b) => new(
        a.Pairs + b.Pairs, a.Dropped + b.Dropped, a.MajorOnly + b.MajorOnly, a.Neurons + b.Neurons, a.NeuronsComputed + b.NeuronsComputed);
}
