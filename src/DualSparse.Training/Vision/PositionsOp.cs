using System.Numerics.Tensors;
using DualSparse.Engine.Vision;
using DualSparse.Kernels.Threading;
using DualSparse.Models;

namespace DualSparse.Training.Vision;

/// <summary>A tower's learned position embeddings: each patch takes the four that it lies between, by their nearness.</summary>
internal static unsafe class PositionsOp
{
    // Columns that one thread adds up at a time: a cache line.
    private const int Columns = 16;

    // Patches that one thread does at a time.
    private const int PatchesPerItem = 64;

    /// <summary>x[p] += Σ weight · table[corner] over the four corners.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="corners">[patches, 4].</param>
    /// <param name="table">[side · side, width] f32.</param>
    /// <param name="width">Values of a row.</param>
    /// <param name="x">[patches, width] f32.</param>
    public static void Forward(ThreadTeam team, GridCorner[] corners, float* table, int width, float* x) => team.For((corners.Length / 4 + PatchesPerItem - 1) / PatchesPerItem, (item, _) =>
    {
        for (int i = 4 * item * PatchesPerItem; i < Math.Min(corners.Length, 4 * (item + 1) * PatchesPerItem); i++)
        {
            var row = new Span<float>(x + (nint)(i / 4) * width, width);
            TensorPrimitives.MultiplyAdd(new ReadOnlySpan<float>(table + (nint)corners[i].Index * width, width), corners[i].Weight, row, row);
        }
    });

    /// <summary>dTable[corner] += weight · dx[p]; the patches in their order.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="corners">[patches, 4].</param>
    /// <param name="dx">[patches, width] f32.</param>
    /// <param name="width">Values of a row.</param>
    /// <param name="dTable">[side · side, width] f32.</param>
    public static void Backward(ThreadTeam team, GridCorner[] corners, float* dx, int width, float* dTable) => team.For((width + Columns - 1) / Columns, (item, _) =>
    {
        int column = item * Columns, count = Math.Min(Columns, width - column);
        for (int i = 0; i < corners.Length; i++)
        {
            var sum = new Span<float>(dTable + (nint)corners[i].Index * width + column, count);
            TensorPrimitives.MultiplyAdd(new ReadOnlySpan<float>(dx + (nint)(i / 4) * width + column, count), corners[i].Weight, sum, sum);
        }
    });

    /// <summary>The four corners of each patch.</summary>
    public static GridCorner[] Corners(VisionConfig config, TowerPatches patches)
    {
        var corners = new GridCorner[4 * patches.Count];
        for (int picture = 0; picture < patches.All.Count; picture++)
        {
            var (first, count) = patches.Pictures[picture];
            for (int patch = first; patch < first + count; patch++)
                PatchPositions.Corners(config, patches.All[picture].Grid, patches.Places[patch].Row, patches.Places[patch].Column, corners.AsSpan(4 * patch, 4));
        }

        return corners;
    }
}
