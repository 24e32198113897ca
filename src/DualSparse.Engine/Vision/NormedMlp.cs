using DualSparse.Engine.Loading;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Engine.Vision;

/// <summary>Two maps with a GELU between them behind a layer norm: a block's MLP, or a merger, for which several patches' rows are one.</summary>
internal sealed unsafe class NormedMlp : IDisposable
{
    private readonly float[] norm;
    private readonly float[] bias;
    private readonly Linear up;
    private readonly Linear down;
    private readonly bool exact;

    /// <summary>Loads one.</summary>
    /// <param name="loader">The checkpoint.</param>
    /// <param name="tensors">Its tensors.</param>
    /// <param name="exact">Whether the GELU is the exact one, and not its approximation by tanh.</param>
    public NormedMlp(ModelLoader loader, NormedMlpTensors tensors, bool exact)
    {
        (norm, bias, this.exact) = (loader.Vector(tensors.Norm.Weight)!, loader.Vector(tensors.Norm.Bias)!, exact);
        (up, down) = (loader.Linear(tensors.Up), loader.Linear(tensors.Down));
    }

    /// <summary>Computes it.</summary>
    /// <param name="work">Threads, kernels.</param>
    /// <param name="memory">Scratch.</param>
    /// <param name="x">[patches, hidden] f32.</param>
    /// <param name="patches">Patches.</param>
    /// <param name="hidden">Width of a patch's row.</param>
    /// <param name="y">[patches · hidden / inputs, outputs] f32, overwritten.</param>
    public void Forward(Workspace work, VisionMemory memory, float* x, int patches, int hidden, float* y)
    {
        nint values = (nint)patches * hidden;
        int rows = (int)(values / up.Inputs);
        float* normed = memory.Normalised.Floats(values), neurons = memory.Neurons.Floats((nint)rows * up.Outputs);
        LayerNorm.Forward(work.Team, x, (int)(values / norm.Length), norm, bias, VisionConfig.NormEpsilon, normed);
        up.Forward(work, normed, rows, neurons);
        Gelu.Forward(work.Team, neurons, (nint)rows * up.Outputs, exact);
        down.Forward(work, neurons, rows, y);
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        up.Dispose();
        down.Dispose();
    }
}
