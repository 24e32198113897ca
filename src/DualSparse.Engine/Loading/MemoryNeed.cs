using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Engine.Ranks;
using DualSparse.Kernels;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Packing;
using DualSparse.Models;

namespace DualSparse.Engine.Loading;

/// <summary>The memory that a model's packed weights take, counted from its configuration.</summary>
internal static class MemoryNeed
{
    /// <summary>Bytes of all packed weights, padding included; the embedding isn't counted, since it stays in the mapped file.</summary>
    public static long WeightBytes(ModelConfig config, WeightFormat format) => WeightBytes(config, new EngineOptions { Weights = format });

    /// <summary>Bytes of the packed weights that a process with these options has.</summary>
    public static long WeightBytes(ModelConfig config, EngineOptions options) =>
        HeadBytes(config, options.Weights, options.Trunk) + SwitchedBytes(config, options) + TowerBytes(config, options) + Enumerable.Range(0, config.Layers).Sum(l => LayerBytes(config, options, l));

    /// <summary>Bytes that a token's keys and values take in the cache of a model with weights of a format.</summary>
    public static long KeyValueBytes(ModelConfig config, WeightFormat format, TrunkCut? cut = null) =>
        (long)Attention.Layout((cut ?? TrunkCut.Whole).OfAttention(config.Attention), format).PageBytes / KvLayout.PageKeys * config.Layers;

    /// <summary>Bytes of the packed head, or of a rank's part of it.</summary>
    public static long HeadBytes(ModelConfig config, WeightFormat format, TrunkCut? cut = null) =>
        Matrix(format, (cut ?? TrunkCut.Whole).Ids(config.VocabSize).Count, config.HiddenSize);

    // The first rank's. Norms and biases aren't counted, nor are they of the layers.
    private static long TowerBytes(ModelConfig config, EngineOptions options)
    {
        if (config.Tensors.Vision is not { } tensors || options.Rank > 0)
            return 0;
        var vision = config.Vision!;
        NormedMlpTensors[] mergers = [tensors.Merger, .. Enumerable.Range(0, vision.DeepLayers.Count).Select(tensors.DeepMerger)];
        VisionBlockTensors[] blocks = [.. Enumerable.Range(0, vision.Layers).Select(tensors.Block)];
        BiasedTensors[] maps = [.. mergers.Concat(blocks.Select(block => block.Mlp)).SelectMany(mlp => new[] { mlp.Up, mlp.Down }), .. blocks.SelectMany(block => new[] { block.QueryKeyValue, block.Output })];
        return Matrix(WeightFormat.F32, vision.HiddenSize, vision.PatchValues) + tensors.Positions.Count * sizeof(float) + maps.Sum(map => Matrix(options.Weights, map.Weight));
    }

    /// <summary>Bytes of one layer's packed weights, padding included.</summary>
    public static long LayerBytes(ModelConfig config, WeightFormat format, int layer) => LayerBytes(config, new EngineOptions { Weights = format }, layer);

    private static long LayerBytes(ModelConfig config, EngineOptions options, int layer)
    {
        var (format, cut, tensors) = (options.Weights, options.Trunk, config.Tensors.Layer(layer));
        long bytes = cut.Attention(config.Attention).Sum(part => AttentionBytes(config, format, tensors.Attention, part));
        if (tensors.Mlp is { } dense)
            return bytes + Mlp(config, format, cut, dense.Neurons);
        var moe = config.Moe!;
        bytes += Matrix(WeightFormat.F32, tensors.Router!) + ExpertBytes(config, options, layer);
        if (tensors.CombineGate is { } gate)
            bytes += Matrix(WeightFormat.F32, gate);
        return moe.SharedIntermediate > 0 ? bytes + Mlp(config, format, cut, moe.SharedIntermediate) : bytes;
    }

    private static long AttentionBytes(ModelConfig config, WeightFormat format, AttentionTensors tensors, CutPart part)
    {
        long bytes = Matrix(format, config.HiddenSize, part.Range((int)tensors.Output.Shape[1]).Count);
        int rows = new[] { tensors.Query, tensors.Key, tensors.Value }.Sum(t => t is null ? 0 : part.Range((int)t.Shape[0]).Count);
        if (config.Attention.Mla is not { } mla)
            return bytes + Matrix(format, rows, config.HiddenSize);
        bytes += Matrix(format, tensors.LatentDown!);
        bytes += tensors.QueryDown is { } down
            ? Matrix(format, down) + Matrix(format, part.Range((int)tensors.QueryUp!.Shape[0]).Count, (int)tensors.QueryUp.Shape[1])
            : Matrix(format, rows, config.HiddenSize);
        return bytes + part.Range(config.Attention.Heads).Count
            * (Matrix(format, mla.NopeSize, mla.KvRank) + Matrix(format, mla.KvRank, mla.NopeSize) + Matrix(format, mla.ValueSize, mla.KvRank));
    }

    private static long ExpertBytes(ModelConfig config, EngineOptions options, int layer)
    {
        var moe = config.Moe!;
        var placement = options.Placement?.Invoke(layer, moe.Experts) ?? ExpertPlacement.SingleRank(moe.Experts);
        int parts = options.Rank is { } rank ? placement.PartsOf(rank).Length : placement.RankOf.Length;
        return parts * Expert(options.Weights, config.HiddenSize, moe.Intermediate / placement.Parts);
    }

    // Where ranks may switch to a lower precision, one layer's experts at a time are there in both.
    private static long SwitchedBytes(ModelConfig config, EngineOptions options) => options.Balance is not { Switches: true } balance ? 0
        : Enumerable.Range(0, config.Layers).Where(layer => config.LayerPlan[layer].IsMoe)
            .Max(layer => ExpertBytes(config, options with { Weights = LowExperts.Format(balance.Low) }, layer));

    private static long Mlp(ModelConfig config, WeightFormat format, TrunkCut cut, int neurons) =>
        cut.Mlp(neurons).Sum(part => Expert(format, config.HiddenSize, TrunkCut.Neurons(part, neurons).Count));

    private static long Matrix(WeightFormat format, TensorSpec tensor) =>
        Matrix(format, checked((int)tensor.Shape[0]), checked((int)tensor.Shape[1]));

    private static long Matrix(WeightFormat format, int outputs, int inputs) => (long)PackedMatrix.SizeBytes(format, outputs, inputs);

    private static long Expert(WeightFormat format, int hidden, int neurons) => (long)PackedExperts.SizeBytes(format, hidden, neurons);
}
