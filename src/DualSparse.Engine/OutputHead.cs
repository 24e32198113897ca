using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>The end of the forward pass: the final norm, then one logit for each id of the vocabulary.</summary>
/// <param name="Norm">[hidden].</param>
/// <param name="Weights">[ids, hidden]: all ids, or those of this process's rank.</param>
/// <param name="FirstId">The first of these.</param>
internal sealed unsafe record OutputHead(float[] Norm, Linear Weights, int FirstId = 0) : IDisposable
{
    /// <summary>Computes logits.</summary>
    /// <param name="pass">Threads, kernels, memory.</param>
    /// <param name="config">The model's.</param>
    /// <param name="x">[rows, hidden] f32.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="logits">[rows, vocabulary] f32, overwritten; on ranks other than the first, only those of their ids.</param>
    public void Forward(Pass pass, ModelConfig config, float* x, int rows, float* logits)
    {
        float* normed = pass.Memory.HeadInput.Floats((nint)rows * config.HiddenSize);
        RmsNorm.Forward(pass.Work.Team, x, rows, config.HiddenSize, Norm, config.NormEpsilon, normed, config.HiddenSize);
        Weights.Forward(pass.Work, normed, rows, config.HiddenSize, logits + FirstId, config.VocabSize);
        if (Weights.Outputs < config.VocabSize)
            pass.Collective.GatherLogits(pass, rows, config.VocabSize, logits);
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose() => Weights.Dispose();
}
