using System.Numerics.Tensors;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Gemm;

/// <summary>y = x·Wᵀ (+ bias): tiling and threads; the instructions are the kernel's.</summary>
internal static unsafe class MatMul
{
    // Work items per thread, where several panels make one item.
    private const int ItemsPerThread = 8;

    // Rows converted at a time by one thread: a few microseconds of work.
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
        Workspace work, PackedMatrix weights, float* x, int rows, int inputs, nint xStride, float* y, nint yStride, ReadOnlySpan<float> bias = default) =>
        Multiply(work, new ArraySegment<PackedMatrix>([weights]), x, rows, inputs, xStride, 0, y, yStride, 0, bias);

    /// <summary>Multiplies rows with several packed matrices of one shape, each its own rows or all the same.</summary>
    /// <param name="work">Threads, kernels, scratch.</param>
    /// <param name="weights">[matrices] of [outputs, inputs].</param>
    /// <param name="x">[<paramref name="rows"/>, <paramref name="inputs"/>] f32 of the first matrix.</param>
    /// <param name="rows">Rows of each, may be 0.</param>
    /// <param name="inputs">Inputs without padding, at most the matrices'.</param>
    /// <param name="xStride">Floats from one row of x to the next.</param>
    /// <param name="xStep">Floats from one matrix's rows to the next's; 0: all have the same.</param>
    /// <param name="y">[rows, outputs] f32 of the first matrix, overwritten.</param>
    /// <param name="yStride">Floats from one row of y to the next.</param>
    /// <param name="yStep">Floats from one matrix's y to the next's.</param>
    /// <param name="bias">[outputs], added to each matrix's, or empty.</param>
    public static void Multiply(
        Workspace work, ArraySegment<PackedMatrix> weights, float* x, int rows, int inputs, nint xStride, nint xStep, float* y, nint yStride, nint yStep, ReadOnlySpan<float> bias = default)
    {
        fixed (float* added = bias)
        {
            float* addend = added;
            Multiply(work, weights, x, rows, inputs, xStride, xStep, (matrix, column, first, count, tile) =>
            {
                int columns = Math.Min(PanelLayout.Columns, weights[matrix].Outputs - column);
                for (int r = 0; r < count; r++)
                {
                    var target = new Span<float>(y + matrix * yStep + (first + r) * yStride + column, columns);
                    var source = new ReadOnlySpan<float>(tile + r * PanelLayout.Columns, columns);
                    if (addend is null)
                        source.CopyTo(target);
                    else
                        TensorPrimitives.Add(source, new ReadOnlySpan<float>(addend + column, columns), target);
                }
            });
        }
    }

    /// <summary>Multiplies rows with several packed matrices of one shape and gives the products tile by tile, while they are in the nearest cache.</summary>
    /// <param name="work">Threads, kernels, scratch.</param>
    /// <param name="weights">[matrices] of [outputs, inputs].</param>
    /// <param name="x">[<paramref name="rows"/>, <paramref name="inputs"/>] f32 of the first matrix.</param>
    /// <param name="rows">Rows of each, may be 0.</param>
    /// <param name="inputs">Inputs without padding, at most the matrices'.</param>
    /// <param name="xStride">Floats from one row of x to the next.</param>
    /// <param name="xStep">Floats from one matrix's rows to the next's; 0: all have the same.</param>
    /// <param name="body">Called for each tile, on any thread.</param>
    public static void Multiply(
        Workspace work, ArraySegment<PackedMatrix> weights, float* x, int rows, int inputs, nint xStride, nint xStep, TileBody body)
    {
        var kernel = work.Kernels[weights[0].Format];
        Encode(work, work.Rows, kernel.Activations, x, rows, inputs, xStride, xStep == 0 ? 1 : weights.Count, xStep);
        int panels = weights[0].PanelCount;
        // Several panels in one work item, as long as there are enough items for threads to end together.
        int together = Math.Clamp(weights.Count * panels / (ItemsPerThread * work.Team.Size), 1, PanelsAtOnce(rows));
        int pieces = (panels + together - 1) / together, all = weights.Count * pieces;
        work.Team.For(all, (item, worker) =>
        {
            float* tile = work.Tile(worker);
            var (index, piece) = Math.DivRem(item, pieces);
            var matrix = weights[index];
            int rowsFrom = xStep == 0 ? 0 : index * rows, panel = piece * together, span = Math.Min(together, panels - panel);
            byte* next = item + 1 < all ? weights[(item + 1) / pieces].Panel((item + 1) % pieces * together) : null;
            for (int first = 0; first < rows; first += Workspace.MaxRows)
            {
                int count = Math.Min(Workspace.MaxRows, rows - first);
                Run(kernel, work.Rows, rowsFrom + first, count, matrix, panel, span, matrix.Inputs, tile, first + count < rows ? null : next);
                for (int p = 0; p < span; p++)
                    body(index, (panel + p) * PanelLayout.Columns, first, count, tile + p * count * PanelLayout.Columns);
            }
        });
    }

    /// <summary>The most panels in one call of a kernel with this number of rows: their results fill a tile.</summary>
    internal static int PanelsAtOnce(int rows) => Math.Max(1, Workspace.MaxRows / PanelLayout.PadRows(Math.Max(rows, 1)));

    /// <summary>Converts rows, or several matrices' rows one after another, into the form a kernel reads, on all threads.</summary>
    internal static void Encode(
        Workspace work, ActivationRows target, ActivationFormat format, float* x, int rows, int inputs, nint xStride, int matrices = 1, nint xStep = 0)
    {
        int all = rows * matrices;
        target.Reset(format, all, inputs);
        if (all <= EncodeRows)
            EncodeChunk(0, 0);
        else
            work.Team.For((all + EncodeRows - 1) / EncodeRows, EncodeChunk);

        void EncodeChunk(int chunk, int worker)
        {
            for (int r = chunk * EncodeRows; r < Math.Min(all, (chunk + 1) * EncodeRows); r++)
                target.Encode(r, new ReadOnlySpan<float>(x + r / rows * xStep + r % rows * xStride, inputs));
        }
    }

    /// <summary>
    /// One call of a kernel: <paramref name="count"/> rows × <paramref name="panels"/> panels over the first <paramref name="inputs"/> inputs;
    /// meanwhile <paramref name="next"/>, a panel that is likely to be next and read as far, may be fetched.
    /// </summary>
    internal static void Run(
        PanelKernel kernel, ActivationRows rows, int first, int count, PackedMatrix weights, int panel, int panels, int inputs, float* tile, byte* next)
    {
        var args = rows.Args(weights.Format, first, count, inputs);
        args.Panel = weights.Panel(panel);
        args.PanelCount = panels;
        args.PanelBytes = weights.PanelBytes;
        args.Result = tile;
        args.Next = next;
        kernel.Multiply(args);
    }
}

/// <summary>Receives a tile of products.</summary>
/// <param name="matrix">The index of the matrix.</param>
/// <param name="column">Its first output, a multiple of 32.</param>
/// <param name="first">Its first row, a multiple of 128.</param>
/// <param name="count">Rows.</param>
/// <param name="tile">[128, 32]: rows after <paramref name="count"/> are undefined, outputs beyond the matrix are products with weights of 0.</param>
internal unsafe delegate void TileBody(int matrix, int column, int first, int count, float* tile);
