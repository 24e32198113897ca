using DualSparse.Kernels;
using DualSparse.Kernels.Packing;
using DualSparse.Models;

namespace DualSparse.Benchmarking;

/// <summary>The roofline of a whole model: the bytes of weights that a batch must read and the operations that it must do.</summary>
internal static class ModelRoofline
{
    /// <summary>
    /// Counts every weight matrix but the embedding: attention's, the router (f32), the experts that some token takes (chosen evenly at
    /// random: E·(1 − (1 − K/E)^tokens) of them), shared experts, dense layers, the head once a pass. Attention's products with the cache
    /// aren't counted.
    /// </summary>
    /// <param name="config">The model.</param>
    /// <param name="format">The format of the weights.</param>
    /// <param name="tokens">Tokens in one pass.</param>
    /// <param name="dropRate">The share of the routed experts' work that is dropped: counted as if a token had fewer experts.</param>
    /// <param name="logits">Of them, those whose logits are computed.</param>
    public static Roofline Of(ModelConfig config, WeightFormat format, int tokens, double dropRate = 0, int logits = 1)
    {
        double bytesAWeight = WeightFormats.Of(format).WeightBytes;
        double head = config.Tensors.Head.Count, bytes = head * bytesAWeight, operations = 2 * head * logits;
        for (int l = 0; l < config.Layers; l++)
        {
            var layer = config.Tensors.Layer(l);
            double always = layer.Attention.All().Where(t => t.Shape.Length == 2).Sum(t => t.Count) + Count(layer.Mlp) + Count(layer.SharedExpert);
            bytes += always * bytesAWeight;
            operations += 2 * always * tokens;
            if (layer.Router is not { } router)
                continue;
            var moe = config.Moe!;
            double expert = 3.0 * config.HiddenSize * moe.Intermediate;
            double kept = moe.TopK * (1 - dropRate), visited = moe.Experts * (1 - Math.Pow(1 - kept / moe.Experts, tokens));
            bytes += 4.0 * router.Count + visited * expert * bytesAWeight;
            operations += 2 * tokens * (router.Count + kept * expert);
        }

        return new Roofline(bytes, operations);
    }

    private static long Count(MlpTensors? mlp) => mlp?.Count ?? 0;
}
