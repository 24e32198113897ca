using DualSparse.Models;
using DualSparse.Training.Ops;
using DualSparse.Training.Products;

namespace DualSparse.Training.Vision;

/// <summary>A layer norm of a tower.</summary>
/// <param name="set">The tensors.</param>
/// <param name="tensors">Weight and bias, [width] each.</param>
internal sealed unsafe class TowerNorm(ParameterSet set, BiasedTensors tensors)
{
    private readonly Parameter weight = set.Find(tensors.Weight), bias = set.Find(tensors.Bias);

    private int Width => (int)weight.Count;

    /// <summary>y = norm(x), row by row.</summary>
    /// <param name="work">Threads.</param>
    /// <param name="x">[values / width, width] f32, kept by the caller for <see cref="Backward"/>.</param>
    /// <param name="values">Values of all rows.</param>
    /// <param name="y">As x, overwritten.</param>
    public void Forward(TrainingWork work, float* x, nint values, float* y) =>
        LayerNormOp.Forward(work.Team, x, (int)(values / Width), Width, set.Values + weight.Offset, set.Values + bias.Offset, VisionConfig.NormEpsilon, y);

    /// <summary>dx += the gradient through the norm; its tensors' are added.</summary>
    /// <param name="work">Threads.</param>
    /// <param name="dy">As x.</param>
    /// <param name="x">What went in.</param>
    /// <param name="values">Values of all rows.</param>
    /// <param name="dx">As x, added to.</param>
    public void Backward(TrainingWork work, float* dy, float* x, nint values, float* dx) => LayerNormOp.Backward(
        work.Team, dy, x, (int)(values / Width), Width, set.Values + weight.Offset, VisionConfig.NormEpsilon, dx, set.Gradients + weight.Offset, set.Gradients + bias.Offset);
}
