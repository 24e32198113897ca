using DualSparse.Kernels.Jit;
using DualSparse.Kernels.Packing;
using static DualSparse.Kernels.Gemm.Avx512Dot.DotRegisters;
using static Iced.Intel.AssemblerRegisters;

namespace DualSparse.Kernels.Gemm.Avx512Dot;

/// <summary>int8 weights and rows, four products a lane and step (VPDPBUSD).</summary>
/// <remarks>
/// The instruction multiplies unsigned bytes with signed ones: the panel holds weight + 128, and Σ a·(w + 128) − 128·Σa = Σ a·w. So
/// accumulators start from −128 times the row's sum; the instruction doesn't saturate, and 32 bits hold up to 65,000 inputs.
/// </remarks>
internal static class DotInt8
{
    /// <summary>What the panel adds to each weight.</summary>
    public const int WeightOffset = 128;

    private const int InputsPerStep = 4;

    /// <summary>The kernel's code.</summary>
    public static EmittedFunction Function { get; } = EmittedFunction.ForPanels("avx512-dot int8", c => RowBlocks.Emit(c, DotSteps.LargestBlock, DotSteps.RoundBytes, DotSteps.ManyRows, integers: true, Block));

    private static void Block(FunctionAssembler c, int rows)
    {
        Start(c, rows);
        c.mov(Panel, FunctionAssembler.Field(nameof(PanelArgs.Panel)));
        c.add(Panel, PanelLayout.Int8HeaderBytes);
        DotSteps.Emit(c, rows, InputsPerStep, (sum, weights, rowVector) => c.vpdpbusd(sum, weights, rowVector));
        Finish(c, rows);
    }

    private static void Start(FunctionAssembler c, int rows)
    {
        c.mov(Counter, Sums);
        for (int row = 0; row < rows; row++)
        {
            c.imul(Scratch, __dword_ptr[Counter], -WeightOffset);
            c.add(Counter, SumBytes);
            c.vpbroadcastd(DotSteps.Accumulator(row, 0), Scratch);
            c.vmovdqa32(DotSteps.Accumulator(row, 1), DotSteps.Accumulator(row, 0));
        }
    }

    // (float)Σ · the column's scale · the row's scale, in this order.
    private static void Finish(FunctionAssembler c, int rows)
    {
        c.mov(Panel, FunctionAssembler.Field(nameof(PanelArgs.Panel)));
        for (int half = 0; half < Halves; half++)
            c.vmovups(DotSteps.Weights(half), __zmmword_ptr[Panel + half * VectorBytes]);
        RowBlocks.PointScales(c);
        for (int row = 0; row < rows; row++)
        {
            for (int half = 0; half < Halves; half++)
            {
                var sum = DotSteps.Accumulator(row, half);
                c.vcvtdq2ps(sum, sum);
                c.vmulps(sum, sum, DotSteps.Weights(half));
                c.vmulps(sum, sum, __dword_bcst[RowScales + row * sizeof(float)]);
                DotSteps.Store(c, row, half);
            }
        }
    }
}
