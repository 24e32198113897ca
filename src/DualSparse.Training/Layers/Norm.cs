using DualSparse.Kernels.Memory;
using DualSparse.Training.Ops;

namespace DualSparse.Training.Layers;

/// <summary>An RMS norm over whole rows, or over each head of them.</summary>
/// <param name="set">The tensors.</param>
/// <param name="weight">[width].</param>
internal sealed unsafe class Norm(ParameterSet set, Parameter weight) : IDisposable
{
    private readonly ScratchBuffer inverse = new();

    /// <summary>y = norm(x).</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="x">[tokens, heads · width] f32, dense, kept by the caller for <see cref="Backward"/>.</param>
    /// <param name="heads">Heads; 1: a row is normalised as a whole.</param>
    /// <param name="y">As x, overwritten.</param>
    public void Forward(TrainingPass pass, float* x, int heads, float* y)
    {
        int width = (int)weight.Count;
        RmsNormOp.Forward(pass.Work.Team, Of(x, heads), pass.Tokens, heads, width, set.Values + weight.Offset, pass.Epsilon, Of(y, heads), inverse.Floats((nint)pass.Tokens * heads));
    }

    /// <summary>dx, and the weight's gradient.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="dy">[tokens, heads · width] f32.</param>
    /// <param name="x">What went in.</param>
    /// <param name="heads">Heads.</param>
    /// <param name="dx">As x; may be dy itself where it is overwritten.</param>
    /// <param name="add">Whether dx is added to.</param>
    public void Backward(TrainingPass pass, float* dy, float* x, int heads, float* dx, bool add) => RmsNormOp.Backward(
        pass.Work.Team, Of(dy, heads), Of(x, heads), inverse.Current, set.Values + weight.Offset, pass.Tokens, heads, (int)weight.Count, Of(dx, heads), add, set.Gradients + weight.Offset);

    /// <summary>Frees the memory.</summary>
    public void Dispose() => inverse.Dispose();

    private HeadRows Of(float* rows, int heads) => new(rows, (nint)heads * (nint)weight.Count, (nint)weight.Count);
}
