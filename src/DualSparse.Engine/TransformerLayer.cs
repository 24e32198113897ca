using DualSparse.Engine.Moe;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>One block: attention, then the mixture of experts (or a dense MLP), each behind its norm.</summary>
internal sealed unsafe record TransformerLayer(float[] AttentionNorm, Attention Attention, float[] MlpNorm, MoeLayer Mlp) : IDisposable
{
    /// <summary>THE step of the forward pass: x += attention(norm(x)), x += MoE(norm(x)).</summary>
    /// <param name="work">Threads, kernels, scratch.</param>
    /// <param name="config">The model's.</param>
    /// <param name="segments">The batch's sequences.</param>
    /// <param name="x">[tokens, hidden] f32.</param>
    /// <param name="tokens">Tokens.</param>
    public void Forward(Workspace work, ModelConfig config, Segment[] segments, float* x, int tokens)
    {
        float* normed = work.Floats("normed", (nint)tokens * config.HiddenSize);
        Normalise(AttentionNorm);
        Attention.Forward(work, segments, normed, tokens, x);
        Normalise(MlpNorm);
        Mlp.Forward(work, normed, tokens, x, segments);

        void Normalise(float[] weight) =>
            RmsNorm.Forward(work.Team, x, tokens, config.HiddenSize, weight, config.NormEpsilon, normed, config.HiddenSize);
    }

    public void Dispose()
    {
        Attention.Dispose();
        Mlp.Dispose();
    }
}
