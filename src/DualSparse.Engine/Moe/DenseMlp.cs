using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Engine.Moe;

/// <summary>An MLP that every row takes, as one expert: a dense layer's, or the shared experts of a layer.</summary>
/// <param name="parts">All neurons, or those of each part that this process has, whose outputs add up over ranks.</param>
/// <param name="cut">Whether other ranks may have other neurons; else every rank computes the same.</param>
internal sealed unsafe class DenseMlp(PackedExperts[] parts, bool cut = false) : IDisposable
{
    /// <summary>Adds its output to y.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="x">[rows, D] f32, normalised.</param>
    /// <param name="y">[rows, D] f32, added to.</param>
    /// <param name="weights">[rows] what each row's output is multiplied with; empty: 1.</param>
    public void Forward(Pass pass, float* x, float* y, ReadOnlySpan<float> weights = default)
    {
        int rows = pass.Rows, width = pass.Hidden;
        pass.EveryRow.SetEveryToken(rows, weights);
        if (!cut)
        {
            GroupedGemm.Forward(pass.Work, parts[0], pass.EveryRow, x, rows, y);
            return;
        }

        float* outputs = pass.Memory.MlpOutput.Floats((nint)parts.Length * rows * width);
        nint[] sums = new nint[parts.Length];
        GroupedGemm.Encode(pass.Work, parts[0], x, rows, pass.Work.Rows);
        for (int i = 0; i < parts.Length; i++)
        {
            sums[i] = (nint)(outputs + (nint)i * rows * width);
            GroupedGemm.Forward(pass.Work, parts[i], pass.EveryRow, pass.Work.Rows, rows, (float*)sums[i], add: false);
        }

        pass.Collective.AllReduce(pass, sums, rows, width, y);
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose() => Array.ForEach(parts, part => part.Dispose());
}
