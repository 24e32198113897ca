using DualSparse.Kernels;
using DualSparse.Kernels.Packing;
using DualSparse.Models;

namespace DualSparse.Benchmarking;

/// <summary>The least that a whole model costs: bytes of the weights that a batch must read, operations that it must do.</summary>
internal static class ModelFloor
{
    /// <summary>
    /// Counts every weight matrix but the embedding: attention's, the router (f32), the experts that some token takes (chosen evenly at
    /// random: E·(1 − (1 − K/E)^tokens) of them), shared experts, dense layers, the head once a pass. Attention's own products with
    /// the cache are left out.
    /// </summary>
    /// <param name="config">The model.</param>
    /// <param name="format">How weights are kept.</param>
    /// <param name="tokens">Tokens in one pass; logits of the last.</param>
    /// <param name="dropRate">Share of the routed experts' work left out: counted as if a token took so many experts fewer.</param>
    public static Floor Of(ModelConfig config, WeightFormat format, int tokens, double dropRate = 0)
    {
        double bytesAWeight = WeightFormats.Of(format).WeightBytes;
        double head = config.Tensors.Head.Count, bytes = head * bytesAWeight, operations = 2 * head;
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

        return new Floor(bytes, operations);
    }

    private static long Count(MlpTensors? mlp) => mlp?.Count ?? 0;
}
