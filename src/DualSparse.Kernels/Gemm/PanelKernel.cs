using System.Runtime.InteropServices;

namespace DualSparse.Kernels.Gemm;

/// <summary>The arguments of a kernel: some rows of activations, one panel of weights or several side by side, and room for their products.</summary>
/// <remarks>Code emitted at run time reads the fields by their offsets: their order is part of the contract.</remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PanelArgs
{
    /// <summary>[rows, <see cref="Inputs"/>] in the kernel's activation format, readable up to a multiple of 16 rows.</summary>
    public byte* Rows;

    /// <summary>Bytes from one row to the next.</summary>
    public nint RowBytes;

    /// <summary>The first panel, in the layout of <see cref="Packing.PanelLayout"/>.</summary>
    public byte* Panel;

    /// <summary>[panels, rows, 32] f32, dense, written in order; room for a multiple of 16 rows, those past the last may be overwritten with anything.</summary>
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

    /// <summary>The panel that this thread multiplies next, or null: it may be prefetched, as far as this one is read.</summary>
    public byte* Next;

    /// <summary>Panels to multiply, at least 1.</summary>
    public nint PanelCount;

    /// <summary>Bytes from one panel to the next.</summary>
    public nint PanelBytes;
}

/// <summary>
/// Multiplies rows of activations with panels of 32 outputs: result[r, c] = Σ_k rows[r, k] · panel[k, c], summed over k in one
/// order whatever the number of rows, so that results are batch-invariant: a row's value does not depend on the other rows.
/// </summary>
/// <remarks>
/// Integer kernels compute exact 32-bit sums, hence equal ones: int8 gives (float)Σ · column scale · row scale, in this order;
/// int4 accumulates (float)Σ_group · group scale with fused multiply-adds in the order of groups, then multiplies by the row's scale.
/// </remarks>
internal abstract class PanelKernel(string name, WeightFormat weights, ActivationFormat activations)
{
    /// <summary>The name by which it is listed, forced and reported.</summary>
    public string Name => name;

    /// <summary>The weights that it multiplies.</summary>
    public WeightFormat Weights => weights;

    /// <summary>The form of the rows that it reads.</summary>
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

/// <summary>A kernel that is written for one panel at a time.</summary>
internal abstract unsafe class OnePanelKernel(string name, WeightFormat weights, ActivationFormat activations)
    : PanelKernel(name, weights, activations)
{
    /// <inheritdoc/>
    public sealed override void Multiply(in PanelArgs args)
    {
        var one = args;
        for (nint panel = args.PanelCount; panel > 0; panel--)
        {
            one.Next = panel > 1 ? one.Panel + one.PanelBytes : args.Next;
            MultiplyOne(one);
            one.Panel += one.PanelBytes;
            one.Result += one.RowCount * Packing.PanelLayout.Columns;
        }
    }

    /// <summary>Computes the [rows, 32] of the panel at <see cref="PanelArgs.Panel"/>.</summary>
    protected abstract void MultiplyOne(in PanelArgs args);
}
