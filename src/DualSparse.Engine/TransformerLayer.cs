using DualSparse.Engine.Moe;

namespace DualSparse.Engine;

/// <summary>One block: attention, then the mixture of experts (or a dense MLP), each behind its norm.</summary>
internal sealed record TransformerLayer(float[] AttentionNorm, Attention Attention, float[] MlpNorm, MoeLayer Mlp) : IDisposable
{
    public void Dispose()
    {
        Attention.Dispose();
        Mlp.Dispose();
    }
}
