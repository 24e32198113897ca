using System.Numerics.Tensors;
using DualSparse.Models;
using DualSparse.Models.Pictures;

namespace DualSparse.Engine.Vision;

/// <summary>
/// Learned position embeddings on a square grid that every picture is laid over, corner on corner: a patch between four of them takes each by its
/// nearness.
/// </summary>
/// <param name="vision">The tower.</param>
/// <param name="embeddings">[side · side, hidden].</param>
internal sealed class PatchPositions(VisionConfig vision, float[] embeddings)
{
    /// <summary>Adds a patch's to its row.</summary>
    /// <param name="grid">The picture's patches.</param>
    /// <param name="row">The patch's row of them.</param>
    /// <param name="column">Its column.</param>
    /// <param name="x">[hidden] f32, added to.</param>
    public void Add(PatchGrid grid, int row, int column, Span<float> x)
    {
        var (top, bottom, down) = Between(row, grid.Rows);
        var (left, right, along) = Between(column, grid.Columns);
        Add(top, left, (1 - down) * (1 - along), x);
        Add(top, right, (1 - down) * along, x);
        Add(bottom, left, down * (1 - along), x);
        Add(bottom, right, down * along, x);
    }

    // The grid's lines on both sides, and how far behind the first the patch is. In f32, as the implementations that models are trained with.
    private (int Before, int Behind, float Share) Between(int index, int count)
    {
        int last = vision.GridSide - 1;
        float at = LinearSpace(last, count, index);
        int before = (int)at;
        return (before, Math.Min(before + 1, last), at - before);
    }

    // As PyTorch does: from whichever end is nearer.
    private static float LinearSpace(int end, int count, int index)
    {
        if (count == 1)
            return 0;
        float step = (float)end / (count - 1);
        return index < count / 2 ? step * index : end - step * (count - 1 - index);
    }

    private void Add(int row, int column, float weight, Span<float> x)
    {
        var embedding = embeddings.AsSpan((row * vision.GridSide + column) * x.Length, x.Length);
        TensorPrimitives.MultiplyAdd(embedding, weight, x, x);
    }
}
