using DualSparse.Kernels.Jit;
using static DualSparse.Kernels.Gemm.Avx512Dot.DotRegisters;

namespace DualSparse.Kernels.Gemm.Avx512Dot;

/// <summary>bf16 weights and rows, two products a lane and step (VDPBF16PS).</summary>
/// <remarks>
/// The instruction adds the odd input's product, then the even one's, each rounded to nearest even as a fused multiply-add. It treats
/// denormals as zero, whatever the caller's rounding mode.
/// </remarks>
internal static class DotBf16
{
    private const int InputsPerStep = 2;

    /// <summary>The kernel's code.</summary>
    public static EmittedFunction Function { get; } = EmittedFunction.ForPanels("avx512-dot bf16", c => RowBlocks.Emit(c, DotSteps.LargestBlock, DotSteps.RoundBytes, DotSteps.ManyRows, integers: false, Block));

    private static void Block(FunctionAssembler c, int rows)
    {
        for (int row = 0; row < rows; row++)
        {
            for (int half = 0; half < Halves; half++)
            {
                var accumulator = DotSteps.Accumulator(row, half);
                c.vpxord(accumulator, accumulator, accumulator);
            }
        }

        c.mov(Panel, FunctionAssembler.Field(nameof(PanelArgs.Panel)));
        DotSteps.Emit(c, rows, InputsPerStep, (sum, weights, rowVector) => c.vdpbf16ps(sum, weights, rowVector));
        for (int row = 0; row < rows; row++)
        {
            for (int half = 0; half < Halves; half++)
                DotSteps.Store(c, row, half);
        }
    }
}
