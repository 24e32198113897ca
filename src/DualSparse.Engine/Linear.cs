using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Engine;

/// <summary>A linear map y = x·Wᵀ (+ b) with packed weights.</summary>
internal sealed unsafe class Linear : IDisposable
{
    private readonly PackedSet set;
    private readonly float[] bias;

    /// <summary>Makes room for [outputs, inputs]; the weights are undefined until packed.</summary>
    /// <exception cref="OutOfMemoryException">There is no room.</exception>
    public Linear(WeightFormat format, int outputs, int inputs, float[]? bias = null)
    {
        Inputs = inputs;
        set = new PackedSet(format, 1, (outputs, inputs));
        this.bias = bias ?? [];
    }

    /// <summary>Inputs, without padding.</summary>
    public int Inputs { get; }

    /// <summary>Outputs.</summary>
    public int Outputs => Weights.Outputs;

    /// <summary>[outputs, inputs], packed.</summary>
    public PackedMatrix Weights => set.Matrices[0];

    /// <summary>Multiplies.</summary>
    /// <param name="work">Threads, kernels, scratch.</param>
    /// <param name="x">[rows, inputs] f32.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="xStride">Floats from one row of x to the next.</param>
    /// <param name="y">[rows, outputs] f32, overwritten.</param>
    /// <param name="yStride">Floats from one row of y to the next.</param>
    public void Forward(Workspace work, float* x, int rows, nint xStride, float* y, nint yStride) =>
        MatMul.Multiply(work, Weights, x, rows, Inputs, xStride, y, yStride, bias);

    /// <summary>Multiplies dense rows.</summary>
    public void Forward(Workspace work, float* x, int rows, float* y) => Forward(work, x, rows, Inputs, y, Outputs);

    /// <summary>Frees the weights.</summary>
    public void Dispose() => set.Dispose();
}
