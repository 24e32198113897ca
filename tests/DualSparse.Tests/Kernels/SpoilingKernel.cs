using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Tests.Kernels;

/// <summary>
/// A kernel that goes as far as <see cref="PanelArgs"/> lets one, as tiles of 16 rows do: it reads every row up to a multiple of 16, and
/// leaves NaNs after the last.
/// </summary>
internal sealed unsafe class SpoilingKernel(PanelKernel kernel) : PanelKernel(kernel.Name, kernel.Weights, kernel.Activations)
{
    private static int seen;

    /// <summary>The best kernels of this machine, spoiling.</summary>
    public static KernelSet All { get; } = new(format => new SpoilingKernel(KernelTable.Choose(format)));

    public override void Multiply(in PanelArgs args)
    {
        int padded = PanelLayout.PadRows((int)args.RowCount);
        nint rowBytes = args.Inputs * (Activations == ActivationFormat.F32 ? 4 : Activations == ActivationFormat.Int8 ? 1 : 2);
        for (nint r = 0; r < padded; r++)
        {
            for (nint i = 0; i < rowBytes; i += 64)
                seen += args.Rows[r * args.RowBytes + i];
        }

        kernel.Multiply(args);
        nint used = args.PanelCount * args.RowCount, room = (args.PanelCount - 1) * args.RowCount + padded;
        new Span<float>(args.Result + used * PanelLayout.Columns, (int)(room - used) * PanelLayout.Columns).Fill(float.NaN);
    }
}
