using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>The end of the forward pass: the final norm, then one logit for each id of the vocabulary.</summary>
internal sealed unsafe record OutputHead(float[] Norm, Linear Weights) : IDisposable
{
    /// <summary>Computes logits.</summary>
    /// <param name="pass">Threads, kernels, memory.</param>
    /// <param name="config">The model's.</param>
    /// <param name="x">[rows, hidden] f32.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="logits">[rows, vocabulary] f32, overwritten.</param>
    public void Forward(Pass pass, ModelConfig config, float* x, int rows, float* logits)
    {
        float* normed = pass.Memory.HeadInput.Floats((nint)rows * config.HiddenSize);
        RmsNorm.Forward(pass.Work.Team, x, rows, config.HiddenSize, Norm, config.NormEpsilon, normed, config.HiddenSize);
        Weights.Forward(pass.Work, normed, rows, logits);
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose() => Weights.Dispose();
}
