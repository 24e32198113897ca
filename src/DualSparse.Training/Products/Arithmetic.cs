using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Training.Products;

/// <summary>
/// In what products are computed, and by which kernel: f32 operands, or operands rounded to bf16 with sums in f32. A product has rows as its
/// left operand and panels (<see cref="PanelLayout"/>) as its right one; both are made from f32 matrices, by rows or by columns.
/// </summary>
/// <remarks>A value is summed over its inputs in one order, whatever is computed beside it: so results depend on no number of threads.</remarks>
internal sealed unsafe class Arithmetic
{
    private readonly PanelKernel kernel;

    /// <summary>Chooses the kernel.</summary>
    /// <exception cref="InvalidOperationException">The variable <see cref="KernelTable.Variable"/> forces one that this machine can't run.</exception>
    public Arithmetic(ProductFormat format)
    {
        kernel = format switch
        {
            ProductFormat.F32 => KernelTable.Choose(WeightFormat.F32),
            ProductFormat.Bf16 => Bf16Kernel(),
            _ => BestFormat(),
        };
        ElementBytes = kernel.Activations == ActivationFormat.F32 ? sizeof(float) : sizeof(ushort);
    }

    /// <summary>The kernel and the form of its operands, such as <c>avx512 f32</c>.</summary>
    public string Name => $"{kernel.Name} {(IsBf16 ? "bf16" : "f32")}";

    /// <summary>Whether operands are rounded to bf16.</summary>
    public bool IsBf16 => kernel.Weights == WeightFormat.Bf16;

    /// <summary>The kernel.</summary>
    public PanelKernel Kernel => kernel;

    /// <summary>Bytes of an element of a row: 4 or 2.</summary>
    public int ElementBytes { get; }

    /// <summary>The form of panels.</summary>
    public WeightFormat PanelFormat => kernel.Weights;

    /// <summary>Bytes from one row of an operand to the next: a cache line more than its data, so that rows don't share one set of a cache.</summary>
    public nint RowBytes(int inputs) => (nint)PanelLayout.PadInputs(inputs) * ElementBytes + 64;

    /// <summary>Bytes of an operand of <paramref name="rows"/> rows, with those that a kernel may read past the last.</summary>
    public nint RowsBytes(int rows, int inputs) => (PanelLayout.PadRows(rows) + PanelLayout.RowAlignment) * RowBytes(inputs);

    /// <summary>Bytes of a panel over <paramref name="inputs"/> inputs.</summary>
    public nint PanelBytes(int inputs) => PanelLayout.PanelBytes(kernel.Weights, PanelLayout.PadInputs(inputs));

    /// <summary>Bytes of the panels of <paramref name="outputs"/> outputs.</summary>
    public nint PanelsBytes(int outputs, int inputs) => PanelLayout.PanelCount(outputs) * PanelBytes(inputs);

    /// <summary>One row of an operand, zeros up to a multiple of 64 after it.</summary>
    public void EncodeRow(float* source, int inputs, byte* row) =>
        RowEncoder.Encode(kernel.Activations, new ReadOnlySpan<float>(source, inputs), PanelLayout.PadInputs(inputs), row, null, null);

    /// <summary>tile = rows · panels: <paramref name="panels"/> tiles of [<paramref name="rows"/>, 32], dense, one after another.</summary>
    /// <param name="first">The first row.</param>
    /// <param name="rowBytes">Bytes from one row to the next.</param>
    /// <param name="rows">Rows, at most <see cref="Workspace.MaxRows"/> over all panels, padded to a multiple of 16.</param>
    /// <param name="panel">The first panel.</param>
    /// <param name="panelBytes">Bytes from one panel to the next.</param>
    /// <param name="panels">Panels.</param>
    /// <param name="inputs">Inputs to sum over, padding included: a multiple of 64.</param>
    /// <param name="tile">Receives the products.</param>
    public void Multiply(byte* first, nint rowBytes, int rows, byte* panel, nint panelBytes, int panels, int inputs, float* tile) => kernel.Multiply(new PanelArgs
    {
        Rows = first,
        RowBytes = rowBytes,
        RowCount = rows,
        Panel = panel,
        PanelBytes = panelBytes,
        PanelCount = panels,
        Inputs = inputs,
        Result = tile,
    });

    // With tiles, or with dot products that aren't slow; bf16 panels with f32 rows would cost as much as f32 and lose bits.
    private static PanelKernel BestFormat()
    {
        var bf16 = KernelTable.Choose(WeightFormat.Bf16);
        return bf16.Activations == ActivationFormat.Bf16 && !(bf16.Name == "avx512-dot" && CpuFeatures.Current.SlowBf16Dot) ? bf16 : KernelTable.Choose(WeightFormat.F32);
    }

    private static PanelKernel Bf16Kernel()
    {
        var kernel = KernelTable.Choose(WeightFormat.Bf16);
        return kernel.Activations is ActivationFormat.Bf16 or ActivationFormat.F32
            ? kernel
            : throw new InvalidOperationException($"the kernel {kernel.Name} multiplies rows of {kernel.Activations}");
    }
}
