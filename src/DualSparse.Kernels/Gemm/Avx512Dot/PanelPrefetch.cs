using DualSparse.Kernels.Jit;
using Iced.Intel;
using static DualSparse.Kernels.Gemm.Avx512Dot.DotRegisters;
using static Iced.Intel.AssemblerRegisters;

namespace DualSparse.Kernels.Gemm.Avx512Dot;

/// <summary>
/// Fetches <see cref="PanelArgs.Next"/> into the second-level cache while the present panel is multiplied. Within a panel the
/// processor's own prefetchers do better than any distance tried; what they can't know is where the next one lies.
/// </summary>
/// <remarks>
/// <para>Several blocks of rows pass over a panel. If it came from memory at the first pass, this would wait for memory and the others
/// leave it idle. So the next panel is fetched over all blocks evenly: with B blocks, a round's worth of bytes in every B-th round.</para>
/// <para>Few rows need a panel sooner than such a stream brings it: they leave it to the processor, and fetch only the next panel's
/// beginning in their last rounds, unless it follows in memory. Without a next panel nothing is fetched.</para>
/// </remarks>
internal static class PanelPrefetch
{
    // Of the next panel, by few rows: what the processor needs to see before its own prefetchers run ahead.
    private const int LeadBytes = 2048;

    // On the stack from the first to the last block.
    private const int Words = 4, WordBytes = sizeof(ulong);

    // In the last so many rounds of a block …
    private static AssemblerMemoryOperand LastRounds => __qword_ptr[rsp];

    // … one of so many, B …
    private static AssemblerMemoryOperand Period => __qword_ptr[rsp + WordBytes];

    // … when this comes to zero …
    private static AssemblerMemoryOperand CountDown => __qword_ptr[rsp + 2 * WordBytes];

    // … fetches a round's bytes from here.
    private static AssemblerMemoryOperand Cursor => __qword_ptr[rsp + 3 * WordBytes];

    /// <summary>Once, before all blocks.</summary>
    /// <param name="c">Where to.</param>
    /// <param name="largestBlock">Rows of a block, at most.</param>
    /// <param name="roundBytes">Bytes of the panel in one round of a block's loop.</param>
    /// <param name="manyRows">From so many rows on the whole next panel is fetched.</param>
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
