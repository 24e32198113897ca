using System.Runtime.CompilerServices;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Training.Products;

/// <summary>Rows times panels, tile by tile, on the calling thread.</summary>
internal static unsafe class Product
{
    /// <summary>Rows of one call of a kernel.</summary>
    public const int Block = Workspace.MaxRows;

    /// <summary>Rows that a weight's gradient sums in one call: a panel of as many is 64 KiB in bf16, a part of the second-level cache.</summary>
    public const int RowsTogether = 1024;

    /// <summary>Bytes of the tile that <see cref="Run"/> needs.</summary>
    public const int TileBytes = (Block + PanelLayout.RowAlignment) * PanelLayout.Columns * sizeof(float);

    /// <summary>Multiplies all rows with all panels.</summary>
    /// <param name="arithmetic">The kernel.</param>
    /// <param name="rows">[count] encoded rows.</param>
    /// <param name="rowBytes">Bytes from one to the next.</param>
    /// <param name="count">Rows.</param>
    /// <param name="panels">The panels.</param>
    /// <param name="panelBytes">Bytes from one to the next.</param>
    /// <param name="outputs">Outputs: 32 a panel.</param>
    /// <param name="inputs">Inputs to sum over; the operands hold zeros from there up to a multiple of 64.</param>
    /// <param name="tile">Scratch of <see cref="TileBytes"/>.</param>
    /// <param name="sink">Receives the products.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run<TSink>(
        Arithmetic arithmetic, byte* rows, nint rowBytes, int count, byte* panels, nint panelBytes, int outputs, int inputs, float* tile, TSink sink)
        where TSink : struct, ITileSink
    {
        int padded = PanelLayout.PadInputs(inputs), all = PanelLayout.PanelCount(outputs);
        for (int first = 0; first < count; first += Block)
        {
            int block = Math.Min(Block, count - first);
            // As many panels a call as fill the tile.
            int together = Math.Max(1, Block / PanelLayout.PadRows(block));
            for (int panel = 0; panel < all; panel += together)
            {
                int span = Math.Min(together, all - panel);
                arithmetic.Multiply(rows + first * rowBytes, rowBytes, block, panels + panel * panelBytes, panelBytes, span, padded, tile);
                for (int p = 0; p < span; p++)
                {
                    int column = (panel + p) * PanelLayout.Columns;
                    sink.Take(tile + p * block * PanelLayout.Columns, first, block, column, Math.Min(PanelLayout.Columns, outputs - column));
                }
            }
        }
    }
}
