using DualSparse.Kernels.Jit;
using DualSparse.Kernels.Packing;
using Iced.Intel;
using static DualSparse.Kernels.Gemm.Avx512Dot.DotRegisters;
using static DualSparse.Kernels.Jit.FunctionAssembler;
using static Iced.Intel.AssemblerRegisters;

namespace DualSparse.Kernels.Gemm.Avx512Dot;

/// <summary>
/// The inner loop for bf16 and int8, which differ in the instruction only: a step multiplies four bytes of each row (two bf16, four
/// int8) with four bytes of each of the 32 outputs.
/// </summary>
/// <remarks>
/// Registers: zmm0–zmm15 the accumulators of eight rows, zmm28 and zmm29 the weights, zmm30 the row's four bytes. They are loaded
/// into a register once rather than twice as an operand in memory: with two products a cycle the load ports would be the bottleneck.
/// Each result has one accumulator, which adds in the order of inputs, whatever the rows of a block.
/// </remarks>
internal static class DotSteps
{
    /// <summary>
    /// Rows of a block: 16 accumulators hide the latency of any product several times over. There are registers for twelve rows, but on Zen
    /// 4 one block of twelve reaches 77 % of the bf16 rate, two blocks of six 95 %.
    /// </summary>
    public const int LargestBlock = 8;

    /// <summary>From seven rows on, a step's products take as long as reading its bytes at about 30 GB/s a thread.</summary>
    public const int ManyRows = 7;

    // Steps between two tests of the loop counter; a multiple of 64 inputs is 16 steps of int8, 32 of bf16.
    private const int Unroll = 4;
    /// <summary>Bytes of the panel between two tests of the loop counter.</summary>
    public const int RoundBytes = Unroll * PanelLayout.StepBytes;

    private const int FirstWeights = 28;
    private const int RowVector = 30;

    /// <summary>A product of the weights (second) and a row (third), added to an accumulator (first).</summary>
    public delegate void Product(AssemblerRegisterZMM accumulator, AssemblerRegisterZMM weights, AssemblerRegisterZMM row);

    /// <summary>The accumulator of a row and a half.</summary>
    public static AssemblerRegisterZMM Accumulator(int row, int half) => Zmm(row * Halves + half);

    /// <summary>One of the two vectors that are free outside the loop.</summary>
    public static AssemblerRegisterZMM Weights(int half) => Zmm(FirstWeights + half);

    /// <summary>Emits all steps of a block; accumulators are set, <see cref="Panel"/> points at the first step.</summary>
    /// <param name="c">The assembler.</param>
    /// <param name="rows">Rows of the block.</param>
    /// <param name="inputsPerStep">Inputs in four bytes.</param>
    /// <param name="product">The instruction.</param>
    public static void Emit(FunctionAssembler c, int rows, int inputsPerStep, Product product)
    {
        var loop = c.CreateLabel();
        PointRows(c, rows);
        c.mov(Counter, Field(nameof(PanelArgs.Inputs)));
        c.shr(Counter, (byte)int.Log2(inputsPerStep * Unroll));
        c.Mark(ref loop);
        PanelPrefetch.Round(c, RoundBytes);
        for (int step = 0; step < Unroll; step++)
            Step(c, rows, step, product);
        AdvanceRows(c, rows, Unroll * sizeof(int));
        c.add(Panel, RoundBytes);
        c.dec(Counter);
        c.jnz(loop);
    }

    /// <summary>Stores the accumulators as the result of the block.</summary>
    public static void Store(FunctionAssembler c, int row, int half) =>
        c.vmovups(__zmmword_ptr[Result + row * PanelLayout.StepBytes + half * VectorBytes], Accumulator(row, half));

    private static void Step(FunctionAssembler c, int rows, int step, Product product)
    {
        for (int half = 0; half < Halves; half++)
        {
            int offset = step * PanelLayout.StepBytes + half * VectorBytes;
            c.vmovdqu32(Weights(half), __zmmword_ptr[Panel + offset]);
        }

        var rowVector = Zmm(RowVector);
        for (int row = 0; row < rows; row++)
        {
            c.vpbroadcastd(rowVector, RowAt(row, step * sizeof(int)));
            for (int half = 0; half < Halves; half++)
                product(Accumulator(row, half), Weights(half), rowVector);
        }
    }
}
