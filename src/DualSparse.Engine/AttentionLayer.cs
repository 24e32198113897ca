using DualSparse.Engine.Loading;
using DualSparse.Engine.Ranks;
using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>The attention block of one layer: all heads, or those of each part that this process has, whose outputs add up over ranks.</summary>
/// <param name="parts">[parts] the heads of each.</param>
/// <param name="cut">Whether other ranks may have other heads; else every rank computes the same.</param>
internal sealed unsafe class AttentionLayer(Attention[] parts, bool cut) : IDisposable
{
    /// <summary>Loads a layer's attention, or this process's parts of it.</summary>
    public static AttentionLayer Load(ModelLoader loader, ModelConfig config, Rope rope, int layer, TrunkCut cut)
    {
        var own = cut.OfAttention(config.Attention);
        return new AttentionLayer([.. cut.Attention(config.Attention).Select(part => Attention.Load(loader, config, own, rope, layer, part))], cut.CutsAttention(config.Attention));
    }

    /// <summary>Adds the block's output to y and appends the tokens' keys and values to their caches.</summary>
    /// <param name="pass">The rows' sequences; memory.</param>
    /// <param name="x">[rows, hidden] f32, normalised.</param>
    /// <param name="y">[rows, hidden] f32, added to.</param>
    public void Forward(Pass pass, float* x, float* y)
    {
        int rows = pass.Rows, width = pass.Hidden;
        nint[] outputs = new nint[parts.Length];
        float* added = pass.Memory.AttentionOutput.Floats((nint)parts.Length * rows * width);
        for (int i = 0; i < parts.Length; i++)
            parts[i].Project(pass, x, i, parts.Length);
        if (cut && parts[0].NormSquares > 0)
            SumSquares(pass, rows, parts[0].NormSquares);
        for (int i = 0; i < parts.Length; i++)
        {
            outputs[i] = (nint)(added + (nint)i * rows * width);
            parts[i].Forward(pass, x, i, (float*)outputs[i]);
        }

        (cut ? pass.Collective : LocalCollective.Instance).AllReduce(pass, outputs, rows, width, y);
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose() => Array.ForEach(parts, part => part.Dispose());

    // A norm over the width of all heads needs every part's sum of squares before any part can go on.
    private void SumSquares(Pass pass, int rows, int width)
    {
        float* own = pass.Memory.PartSquares.Floats((nint)parts.Length * rows * width);
        nint[] squares = new nint[parts.Length];
        for (int i = 0; i < parts.Length; i++)
        {
            squares[i] = (nint)(own + (nint)i * rows * width);
            parts[i].Squares(pass, i, (float*)squares[i]);
        }

        float* sums = pass.Memory.Squares.Floats((nint)rows * width);
        new Span<float>(sums, rows * width).Clear();
        pass.Collective.AllReduce(pass, squares, rows, width, sums);
    }
}
