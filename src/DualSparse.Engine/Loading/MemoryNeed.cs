using DualSparse.Kernels;
using DualSparse.Kernels.Packing;
using DualSparse.Models;

namespace DualSparse.Engine.Loading;

/// <summary>The memory that a model's packed weights take, counted from its configuration.</summary>
public static class MemoryNeed
{
    /// <summary>Bytes of all packed weights, padding included; the embedding isn't counted, it stays in the mapped file.</summary>
    public static long WeightBytes(ModelConfig config, WeightFormat format)
    {
        long bytes = Matrix(format, config.Tensors.Head);
        for (int l = 0; l < config.Layers; l++)
        {
            var layer = config.Tensors.Layer(l);
            bytes += layer.Attention.All().Where(t => t.Shape.Length == 2).Sum(t => Matrix(format, t));
            if (layer.Mlp is { } dense)
            {
                bytes += Expert(format, config.HiddenSize, (int)dense.Gate.Shape[0]);
                continue;
            }

            var moe = config.Moe!;
            bytes += Matrix(WeightFormat.F32, layer.Router!) + moe.Experts * Expert(format, config.HiddenSize, moe.Intermediate);
            if (moe.SharedIntermediate > 0)
                bytes += Expert(format, config.HiddenSize, moe.SharedIntermediate);
        }

        return bytes;
    }

    private static long Matrix(WeightFormat format, TensorSpec tensor) =>
        (long)PackedMatrix.SizeBytes(format, checked((int)tensor.Shape[0]), checked((int)tensor.Shape[1]));

    private static long Expert(WeightFormat format, int hidden, int neurons)
    {
        int padded = new NeuronLayout(neurons).Padded;
        return (long)(PackedMatrix.SizeBytes(format, 2 * padded, hidden) + PackedMatrix.SizeBytes(format, hidden, padded));
    }
}
