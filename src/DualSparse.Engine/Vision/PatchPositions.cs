using System.Numerics.Tensors;
using DualSparse.Models;
using DualSparse.Models.Pictures;

namespace DualSparse.Engine.Vision;

/// <summary>An embedding of the grid and its weight.</summary>
/// <param name="Index">Which: its row times the grid's side plus its column.</param>
/// <param name="Weight">0 to 1.</param>
internal readonly record struct GridCorner(int Index, float Weight);

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
        Span<GridCorner> corners = stackalloc GridCorner[4];
        Corners(vision, grid, row, column, corners);
        foreach (var (index, weight) in corners)
            TensorPrimitives.MultiplyAdd(embeddings.AsSpan(index * x.Length, x.Length), weight, x, x);
    }

    /// <summary>The four embeddings that a patch lies between.</summary>
    /// <param name="vision">The tower.</param>
    /// <param name="grid">The picture's patches.</param>
    /// <param name="row">The patch's row of them.</param>
    /// <param name="column">Its column.</param>
    /// <param name="corners">[4], overwritten.</param>
    public static void Corners(VisionConfig vision, PatchGrid grid, int row, int column, Span<GridCorner> corners)
    {
        int side = vision.GridSide;
        var (top, bottom, down) = Between(side, row, grid.Rows);
        var (left, right, along) = Between(side, column, grid.Columns);
        corners[0] = new(top * side + left, (1 - down) * (1 - along));
        corners[1] = new(top * side + right, (1 - down) * along);
        corners[2] = new(bottom * side + left, down * (1 - along));
        corners[3] = new(bottom * side + right, down * along);
    }

    // The grid's lines on both sides, and how far behind the first the patch is. In f32, as the implementations that models are trained with.
    private static (int Before, int Behind, float Share) Between(int side, int index, int count)
    {
        int last = side - 1;
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
}
