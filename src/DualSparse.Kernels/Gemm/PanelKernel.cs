using System.Runtime.InteropServices;

namespace DualSparse.Kernels.Gemm;

/// <summary>What a kernel is given: some rows of activations, one panel of weights, and room for their products.</summary>
/// <remarks>Code emitted at run time reads the fields by their offsets: their order is part of the contract.</remarks>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct PanelArgs
{
    /// <summary>[rows, <see cref="Inputs"/>] in the kernel's activation format, readable up to a multiple of 16 rows.</summary>
    public byte* Rows;

    /// <summary>Bytes from one row to the next.</summary>
    public nint RowBytes;

    /// <summary>The panel, in the layout of <see cref="Packing.PanelLayout"/>.</summary>
    public byte* Panel;

    /// <summary>[rows, 32] f32, dense; room for a multiple of 16 rows, those past the last may be overwritten with anything.</summary>
    public float* Result;

    /// <summary>[rows] scale of each row; read by int8 and int4 kernels only.</summary>
    public float* RowScales;

    /// <summary>Sums of the integers of each row: one a row for int8, one for each 32 inputs for int4.</summary>
    public int* RowSums;

    /// <summary>Integers from one row's sums to the next's.</summary>
    public nint RowSumStride;

    /// <summary>Rows to multiply, at least 1.</summary>
    public nint RowCount;

    /// <summary>Inputs to sum over, a multiple of 64; may be fewer than the panel holds: then its prefix is used.</summary>
    public nint Inputs;

    /// <summary>The panel that this thread multiplies next, or null: its first bytes may be fetched ahead, while this one ends.</summary>
    public byte* Next;
}

/// <summary>
/// Multiplies rows of activations with one panel of 32 outputs: result[r, c] = Σ_k rows[r, k] · panel[k, c], summed over k in one
/// order whatever the number of rows, so that a row's result doesn't depend on its company.
/// </summary>
/// <remarks>
/// Integer kernels compute exact 32-bit sums, hence equal ones: int8 gives (float)Σ · column scale · row scale, in this order;
/// int4 accumulates (float)Σ_group · group scale with fused multiply-adds in the order of groups, then multiplies by the row's scale.
/// </remarks>
public abstract class PanelKernel(string name, WeightFormat weights, ActivationFormat activations)
{
    /// <summary>The name under which it is listed, forced and reported.</summary>
    public string Name => name;

    /// <summary>The weights that it multiplies.</summary>
    public WeightFormat Weights => weights;

    /// <summary>The form in which it wants its rows.</summary>
    public ActivationFormat Activations => activations;

    /// <summary>Computes <see cref="PanelArgs.Result"/>. Checks nothing.</summary>
    public abstract void Multiply(in PanelArgs args);

    /// <summary>
    /// Runs, <paramref name="rounds"/> times, the instruction that does this kernel's arithmetic, on random non-zero values in registers
    /// and nothing else, for <see cref="Probe.MachineProbe"/>. Returns the operations done, 2 for each multiply-add, or 0 where a kernel
    /// has no such loop.
    /// </summary>
    public virtual long RunCeiling(int rounds) => 0;
}
