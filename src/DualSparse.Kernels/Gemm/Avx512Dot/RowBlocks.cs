using DualSparse.Kernels.Jit;
using DualSparse.Kernels.Packing;
using static DualSparse.Kernels.Gemm.Avx512Dot.DotRegisters;
using static Iced.Intel.AssemblerRegisters;

namespace DualSparse.Kernels.Gemm.Avx512Dot;

/// <summary>The loop over blocks of rows that all dot-product kernels share, with the code of a block emitted for each number of rows.</summary>
internal static class RowBlocks
{
    /// <summary>
    /// Emits the loop. Blocks are as large as the registers allow; the last two share what is left evenly, since a block of one or
    /// two rows waits for its few accumulators rather than for the multipliers.
    /// </summary>
    /// <param name="c">The assembler.</param>
    /// <param name="largest">Rows that the accumulators of one block hold.</param>
    /// <param name="roundBytes">Bytes of the panel in one round of a block's loop.</param>
    /// <param name="manyRows">The least number of rows for which the whole next panel is fetched.</param>
    /// <param name="integers">Whether rows have sums.</param>
    /// <param name="block">Emits the product of a block of the given number of rows.</param>
    public static void Emit(FunctionAssembler c, int largest, int roundBytes, int manyRows, bool integers, Action<FunctionAssembler, int> block)
    {
        var next = c.CreateLabel("next");
        var dispatch = c.CreateLabel("dispatch");
        var done = c.CreateLabel("done");
        var blocks = Enumerable.Range(0, largest + 1).Select(rows => c.CreateLabel($"rows{rows}")).ToArray();

        PanelPrefetch.Open(c, largest, roundBytes, manyRows);
        Load(c, integers);
        c.Mark(ref next);
        c.mov(rax, RowsLeft);
        c.cmp(RowsLeft, largest);
        c.jbe(dispatch);
        c.mov(eax, largest);
        c.cmp(RowsLeft, 2 * largest);
        c.jae(dispatch);
        c.lea(rax, __[RowsLeft + 1]);
        c.shr(rax, 1);
        c.Mark(ref dispatch);
        for (int rows = largest; rows > 1; rows--)
        {
            c.cmp(rax, rows);
            c.je(blocks[rows]);
        }

        for (int rows = 1; rows <= largest; rows++)
        {
            c.Mark(ref blocks[rows]);
            block(c, rows);
            Advance(c, rows, integers);
            c.jnz(next);
            c.jmp(done);
        }

        c.Mark(ref done);
        PanelPrefetch.Close(c);
    }

    /// <summary>Points <see cref="RowScales"/> at the scale of the block's first row.</summary>
    public static void PointScales(FunctionAssembler c)
    {
        c.mov(RowScales, FunctionAssembler.Field(nameof(PanelArgs.RowCount)));
        c.sub(RowScales, RowsLeft);
        c.shl(RowScales, 2);
        c.add(RowScales, FunctionAssembler.Field(nameof(PanelArgs.RowScales)));
    }

    private static void Load(FunctionAssembler c, bool integers)
    {
        c.mov(Rows, FunctionAssembler.Field(nameof(PanelArgs.Rows)));
        c.mov(RowBytes, FunctionAssembler.Field(nameof(PanelArgs.RowBytes)));
        c.mov(RowsLeft, FunctionAssembler.Field(nameof(PanelArgs.RowCount)));
        c.mov(Result, FunctionAssembler.Field(nameof(PanelArgs.Result)));
        if (!integers)
            return;
        c.mov(Sums, FunctionAssembler.Field(nameof(PanelArgs.RowSums)));
        c.mov(SumBytes, FunctionAssembler.Field(nameof(PanelArgs.RowSumStride)));
        c.shl(SumBytes, 2);
    }

    // To the next block; leaves the zero flag set after the last one.
    private static void Advance(FunctionAssembler c, int rows, bool integers)
    {
        c.imul(rax, RowBytes, rows);
        c.add(Rows, rax);
        c.add(Result, rows * PanelLayout.Columns * sizeof(float));
        if (integers)
        {
            c.imul(rax, SumBytes, rows);
            c.add(Sums, rax);
        }

        c.sub(RowsLeft, rows);
    }
}
