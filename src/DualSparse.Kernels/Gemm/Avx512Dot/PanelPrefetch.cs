using DualSparse.Kernels.Jit;
using Iced.Intel;
using static DualSparse.Kernels.Gemm.Avx512Dot.DotRegisters;
using static Iced.Intel.AssemblerRegisters;

namespace DualSparse.Kernels.Gemm.Avx512Dot;

/// <summary>
/// Fetches <see cref="PanelArgs.Next"/> into the second-level cache while the current panel is multiplied. Within a panel the processor's
/// own prefetchers do better than any distance tried, but they can't know where the next panel is.
/// </summary>
/// <remarks>
/// <para>Several blocks of rows pass over a panel. If it came from memory in the first pass, that pass would wait for memory and the others
/// leave memory idle. So the next panel is fetched evenly over all blocks: with B blocks, one round's bytes in every B-th round.</para>
/// <para>With few rows such a stream is too slow: the processor's prefetchers do it, and only the next panel's beginning is fetched in the
/// last rounds, unless it follows in memory. Without a next panel nothing is fetched.</para>
/// </remarks>
internal static class PanelPrefetch
{
    // Bytes of the next panel fetched with few rows: enough to start the processor's own prefetchers.
    private const int LeadBytes = 2048;

    // On the stack from the first to the last block.
    private const int Words = 4, WordBytes = sizeof(ulong);

    // In this many last rounds of a block …
    private static AssemblerMemoryOperand LastRounds => __qword_ptr[rsp];

    // … one round in B …
    private static AssemblerMemoryOperand Period => __qword_ptr[rsp + WordBytes];

    // … when this countdown reaches zero …
    private static AssemblerMemoryOperand CountDown => __qword_ptr[rsp + 2 * WordBytes];

    // … fetches a round's bytes from here.
    private static AssemblerMemoryOperand Cursor => __qword_ptr[rsp + 3 * WordBytes];

    /// <summary>Once, before all blocks.</summary>
    /// <param name="c">The assembler.</param>
    /// <param name="largestBlock">Rows of a block, at most.</param>
    /// <param name="roundBytes">Bytes of the panel in one round of a block's loop.</param>
    /// <param name="manyRows">The least number of rows for which the whole next panel is fetched.</param>
    public static void Open(FunctionAssembler c, int largestBlock, int roundBytes, int manyRows)
    {
        // B = ⌊(rows − 1) / largest⌋ + 1, by a multiplication.
        const int fraction = 16;
        c.mov(Counter, FunctionAssembler.Field(nameof(PanelArgs.Panel)));
        c.add(Counter, FunctionAssembler.Field(nameof(PanelArgs.PanelBytes)));
        c.mov(WideScratch, 0);
        c.mov(Ahead, LeadBytes / roundBytes);
        c.cmp(Counter, FunctionAssembler.Field(nameof(PanelArgs.Next)));
        c.cmove(Ahead, WideScratch);
        c.mov(WideScratch, int.MaxValue);
        c.mov(Counter, FunctionAssembler.Field(nameof(PanelArgs.RowCount)));
        c.cmp(Counter, manyRows - 1);
        c.cmova(Ahead, WideScratch);
        c.dec(Counter);
        c.imul(Counter, Counter, ((1 << fraction) + largestBlock - 1) / largestBlock);
        c.shr(Counter, fraction);
        c.add(Counter, 1);
        c.mov(WideScratch, FunctionAssembler.Field(nameof(PanelArgs.Next)));
        c.cmp(WideScratch, 0);
        c.cmove(Ahead, WideScratch);
        c.push(WideScratch);
        c.push(Counter);
        c.push(Counter);
        c.push(Ahead);
    }

    /// <summary>At the start of each round; <see cref="Counter"/> holds the rounds left, this one included.</summary>
    public static void Round(FunctionAssembler c, int roundBytes)
    {
        var no = c.CreateLabel();
        c.cmp(Counter, LastRounds);
        c.ja(no);
        c.dec(CountDown);
        c.jnz(no);
        c.mov(Ahead, Period);
        c.mov(CountDown, Ahead);
        c.mov(Ahead, Cursor);
        for (int line = 0; line < roundBytes; line += VectorBytes)
            c.prefetcht1(__byte_ptr[Ahead + line]);
        c.add(Ahead, roundBytes);
        c.mov(Cursor, Ahead);
        c.Mark(ref no);
    }

    /// <summary>After the last block.</summary>
    public static void Close(FunctionAssembler c) => c.add(rsp, Words * WordBytes);
}
