using System.Numerics.Tensors;

namespace DualSparse.Engine.Ranks;

/// <summary>All ranks are this process.</summary>
internal sealed unsafe class LocalCollective : ICollective
{
    /// <summary>The only one: it has no state.</summary>
    public static readonly LocalCollective Instance = new();

    // Rows whose sums one thread adds at a time: a few microseconds.
    private const int RowsPerItem = 4;

    private LocalCollective()
    {
    }

    /// <inheritdoc/>
    public void AllReduce(Pass pass, IReadOnlyList<nint> own, int rows, int width, float* y) =>
        pass.Work.Team.For((rows + RowsPerItem - 1) / RowsPerItem, (item, _) =>
        {
            nint first = (nint)item * RowsPerItem * width;
            var sum = new Span<float>(y + first, Math.Min(RowsPerItem, rows - item * RowsPerItem) * width);
            for (int part = 0; part < own.Count; part++)
                TensorPrimitives.Add(sum, new ReadOnlySpan<float>((float*)own[part] + first, sum.Length), sum);
        });

    /// <inheritdoc/>
    public void GatherLogits(Pass pass, int rows, int vocabulary, float* logits)
    {
        // All are here.
    }
}
