using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Engine.Moe;

/// <summary>A dense MLP: one expert that every row takes.</summary>
/// <param name="weights">The one expert.</param>
internal sealed unsafe class DenseMlp(PackedExperts weights) : IDisposable
{
    /// <summary>Adds its output to y.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="x">[rows, D] f32, normalised.</param>
    /// <param name="y">[rows, D] f32, added to.</param>
    public void Forward(Pass pass, float* x, float* y)
    {
        pass.EveryRow.SetEveryToken(pass.Rows);
        GroupedGemm.Forward(pass.Work, weights, pass.EveryRow, x, pass.Rows, y);
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose() => weights.Dispose();
}
