using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Engine;

/// <summary>A linear map for each head, all of one shape, with packed weights in one block.</summary>
internal sealed unsafe class HeadLinear : IDisposable
{
    private readonly PackedSet set;
    private readonly int inputs;

    /// <summary>Makes room for [heads] of [outputs, inputs]; the weights are undefined until packed.</summary>
    /// <exception cref="OutOfMemoryException">There is no room.</exception>
    public HeadLinear(WeightFormat format, int heads, int outputs, int inputs)
    {
        this.inputs = inputs;
        set = new PackedSet(format, heads, (outputs, inputs));
    }

    /// <summary>[heads] of [outputs, inputs], packed.</summary>
    public ArraySegment<PackedMatrix> Heads => set.Matrices;

    /// <summary>Multiplies each head's rows.</summary>
    /// <param name="work">Threads, kernels, scratch.</param>
    /// <param name="x">[rows, inputs] f32 of the first head.</param>
    /// <param name="rows">Rows of a head.</param>
    /// <param name="xStride">Floats from one row of x to the next.</param>
    /// <param name="xStep">Floats from one head's x to the next's.</param>
    /// <param name="y">[rows, outputs] f32 of the first head, overwritten.</param>
    /// <param name="yStride">Floats from one row of y to the next.</param>
    /// <param name="yStep">Floats from one head's y to the next's.</param>
    public void Forward(Workspace work, float* x, int rows, nint xStride, nint xStep, float* y, nint yStride, nint yStep) =>
        MatMul.Multiply(work, Heads, x, rows, inputs, xStride, xStep, y, yStride, yStep);

    /// <summary>Multiplies the same rows for some heads.</summary>
    /// <param name="work">Threads, kernels, scratch.</param>
    /// <param name="first">The first head.</param>
    /// <param name="count">Heads.</param>
    /// <param name="x">[rows, inputs] f32.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="xStride">Floats from one row of x to the next.</param>
    /// <param name="body">Called for each tile of products; matrix 0 is the first head's.</param>
    public void Forward(Workspace work, int first, int count, float* x, int rows, nint xStride, TileBody body) =>
        MatMul.Multiply(work, Heads.Slice(first, count), x, rows, inputs, xStride, 0, body);

    /// <summary>Frees the weights.</summary>
    public void Dispose() => set.Dispose();
}
