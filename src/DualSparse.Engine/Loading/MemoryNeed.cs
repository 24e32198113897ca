using DualSparse.Engine.Moe;
using DualSparse.Kernels;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Packing;
using DualSparse.Models;

namespace DualSparse.Engine.Loading;

/// <summary>The memory that a model's packed weights take, counted from its configuration.</summary>
internal static class MemoryNeed
{
    /// <summary>Bytes of all packed weights, padding included; the embedding isn't counted, since it stays in the mapped file.</summary>
    public static long WeightBytes(ModelConfig config, WeightFormat format) =>
        HeadBytes(config, format) + Enumerable.Range(0, config.Layers).Sum(l => LayerBytes(config, format, l));

    /// <summary>Bytes that a token's keys and values take in the cache of a model with weights of a format.</summary>
    public static long KeyValueBytes(ModelConfig config, WeightFormat format) =>
        (long)Attention.Layout(config.Attention, format).PageBytes / KvLayout.PageKeys * config.Layers;

    /// <summary>Bytes of the packed head.</summary>
    public static long HeadBytes(ModelConfig config, WeightFormat format) => Matrix(format, config.Tensors.Head);

    /// <summary>Bytes of one layer's packed weights, padding included.</summary>
    public static long LayerBytes(ModelConfig config, WeightFormat format, int layer)
    {
        var tensors = config.Tensors.Layer(layer);
        long bytes = tensors.Attention.All().Where(t => t.Shape.Length == 2 && t != tensors.Attention.LatentUp).Sum(t => Matrix(format, t));
        if (config.Attention.Mla is { } mla)
            bytes += config.Attention.Heads * (Matrix(format, mla.NopeSize, mla.KvRank) + Matrix(format, mla.KvRank, mla.NopeSize) + Matrix(format, mla.ValueSize, mla.KvRank));
        if (tensors.Mlp is { } dense)
            return bytes + Expert(format, config.HiddenSize, dense.Neurons);
        var moe = config.Moe!;
        bytes += Matrix(WeightFormat.F32, tensors.Router!) + moe.Experts * Expert(format, config.HiddenSize, moe.Intermediate);
        if (tensors.SharedGate is { } gate)
            bytes += Matrix(WeightFormat.F32, gate);
        return moe.SharedIntermediate > 0 ? bytes + Expert(format, config.HiddenSize, moe.SharedIntermediate) : bytes;
    }

    /// <summary>Bytes of the routed experts that a rank has.</summary>
    public static long ExpertBytes(ModelConfig config, WeightFormat format, Func<int, int, ExpertPlacement> placement, int rank) =>
        config.Moe is not { } moe ? 0 : Enumerable.Range(0, config.Layers).Where(l => config.LayerPlan[l].IsMoe).Sum(l =>
        {
            var parts = placement(l, moe.Experts);
            return parts.PartsOf(rank).Length * Expert(format, config.HiddenSize, moe.Intermediate / parts.Parts);
        });

    /// <summary>Bytes of the routed experts that other processes have.</summary>
    public static long AbsentBytes(ModelConfig config, EngineOptions options)
    {
        if (options.Rank is not { } rank || options.Placement is not { } placement)
            return 0;
        return ExpertBytes(config, options.Weights, (_, experts) => ExpertPlacement.SingleRank(experts), 0) - ExpertBytes(config, options.Weights, placement, rank);
    }

    private static long Matrix(WeightFormat format, TensorSpec tensor) =>
        Matrix(format, checked((int)tensor.Shape[0]), checked((int)tensor.Shape[1]));

    private static long Matrix(WeightFormat format, int outputs, int inputs) => (long)PackedMatrix.SizeBytes(format, outputs, inputs);

    private static long Expert(WeightFormat format, int hidden, int neurons) => (long)PackedExperts.SizeBytes(format, hidden, neurons);
}
