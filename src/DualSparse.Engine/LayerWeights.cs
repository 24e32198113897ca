using DualSparse.Engine.Moe;

namespace DualSparse.Engine;

/// <summary>One layer's weights: attention, then the mixture of experts or a dense MLP, each after its norm. Immutable.</summary>
/// <param name="AttentionNorm">[hidden].</param>
/// <param name="Attention">The attention block.</param>
/// <param name="MlpNorm">[hidden].</param>
/// <param name="Moe">The mixture of experts; null where the layer is dense.</param>
/// <param name="Dense">The dense MLP; null where the layer has experts.</param>
internal sealed record LayerWeights(float[] AttentionNorm, AttentionLayer Attention, float[] MlpNorm, MoeLayer? Moe, DenseMlp? Dense) : IDisposable
{
    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        Attention.Dispose();
        Moe?.Dispose();
        Dense?.Dispose();
    }
}
