using System.Numerics.Tensors;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Gemm;

/// <summary>y = x·Wᵀ (+ bias): tiling and threads; the instructions are the kernel's.</summary>
public static unsafe class MatMul
{
    // Rows converted at a time by one thread: some microseconds of work.
    private const int EncodeRows = 8;

    /// <summary>Multiplies rows with a packed matrix.</summary>
    /// <param name="work">Threads, kernels, scratch.</param>
    /// <param name="weights">[outputs, inputs].</param>
    /// <param name="x">[<paramref name="rows"/>, <paramref name="inputs"/>] f32.</param>
    /// <param name="rows">Rows, may be 0.</param>
    /// <param name="inputs">Inputs without padding, at most the matrix's.</param>
    /// <param name="xStride">Floats from one row of x to the next.</param>
    /// <param name="y">[rows, outputs] f32, overwritten.</param>
    /// <param name="yStride">Floats from one row of y to the next.</param>
    /// <param name="bias">[outputs] or empty.</param>
    public static void Multiply(
        Workspace work, PackedMatrix weights, float* x, int rows, int inputs, nint xStride, float* y, nint yStride, ReadOnlySpan<float> bias = default)
    {
        var kernel = work.Kernels[weights.Format];
        Encode(work, work.Rows, kernel.Activations, x, rows, inputs, xStride);
        fixed (float* added = bias)
        {
            float* addend = added;
            work.Team.For(weights.PanelCount, (panel, worker) =>
            {
                float* tile = work.Tile(worker);
                int column = panel * PanelLayout.Columns;
                int columns = Math.Min(PanelLayout.Columns, weights.Outputs - column);
                for (int first = 0; first < rows; first += Workspace.MaxRows)
                {
                    int count = Math.Min(Workspace.MaxRows, rows - first);
                    Run(kernel, work.Rows, first, count, weights, panel, weights.Inputs, tile, first + count < rows ? null : weights.PanelAhead(panel, work.Team.Size));
                    for (int r = 0; r < count; r++)
                    {
                        var target = new Span<float>(y + (first + r) * yStride + column, columns);
                        var source = new ReadOnlySpan<float>(tile + r * PanelLayout.Columns, columns);
                        if (addend is null)
                            source.CopyTo(target);
                        else
                            TensorPrimitives.Add(source, new ReadOnlySpan<float>(addend + column, columns), target);
                    }
                }
            });
        }
    }

    /// <summary>Converts rows into the form that a kernel wants, on all threads.</summary>
    internal static void Encode(Workspace work, ActivationRows target, ActivationFormat format, float* x, int rows, int inputs, nint xStride)
    {
        target.Reset(format, rows, inputs);
        if (rows <= EncodeRows)
            EncodeChunk(0, 0);
        else
            work.Team.For((rows + EncodeRows - 1) / EncodeRows, EncodeChunk);

        void EncodeChunk(int chunk, int worker)
        {
            for (int r = chunk * EncodeRows; r < Math.Min(rows, (chunk + 1) * EncodeRows); r++)
                target.Encode(r, new ReadOnlySpan<float>(x + r * xStride, inputs));
        }
    }

    /// <summary>
    /// One call of a kernel: <paramref name="count"/> rows × one panel over the first <paramref name="inputs"/> inputs; meanwhile
    /// <paramref name="next"/>, a panel that is likely to be next and read as far, may be fetched.
    /// </summary>
    internal static void Run(
        PanelKernel kernel, ActivationRows rows, int first, int count, PackedMatrix weights, int panel, int inputs, float* tile, byte* next)
    {
        var args = rows.Args(weights.Format, first, count, inputs);
        args.Panel = weights.Panel(panel);
        args.Result = tile;
        args.Next = next;
        kernel.Multiply(args);
    }
}
