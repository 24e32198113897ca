using DualSparse.Kernels.Jit;
using DualSparse.Kernels.Packing;
using Iced.Intel;
using static DualSparse.Kernels.Gemm.Amx.TileRegisters;
using static DualSparse.Kernels.Jit.FunctionAssembler;
using static Iced.Intel.AssemblerRegisters;

namespace DualSparse.Kernels.Gemm.Amx;

/// <summary>All rows times panels with tiles; bf16 and int8 differ in the instruction only.</summary>
/// <remarks>
/// <para>Order of loops. A step of a full block is four tile products, 64 cycles, on 2 KiB of rows and 2 KiB of weights. From the
/// second-level cache both would be 64 bytes a cycle, more than the 45 or so that it sustains, and the panel comes round again for
/// every block of rows. So inputs are cut into blocks whose weights stay in the first-level cache while all rows pass: then half of
/// the bytes come from there. The cut costs a load and a store of 4 KiB of sums for each block of rows and inputs. Sixteen KiB of
/// weights (eight steps, 512 cycles) is the largest power of two that survives: until its next use, 16 KiB of rows and 8 KiB of sums
/// pass through the cache as well, 40 of 48 KiB. Twice that would evict itself.</para>
/// <para>Up to 32 rows pass once, nothing is used again, and all inputs are one block.</para>
/// <para>Prefetch. The next block of weights comes from memory: its lines are prefetched evenly over all steps of the current block, enough
/// per step that all are requested when the last block of rows is done. After the last block comes the first of
/// <see cref="PanelArgs.Next"/>; without one, lines of the current panel are requested again, never lines past it.</para>
/// <para>Fewer than 16 rows make smaller tiles. A remainder of more rows takes whole tiles and computes rows that are never read.
/// The order of additions is the same in every case.</para>
/// </remarks>
internal static class TileProduct
{
    /// <summary>Steps in a block of inputs: 16 KiB of weights, see the remarks.</summary>
    public const int StepsPerBlock = 8;

    private const int BlockRowCount = RowTiles * TileConfiguration.Rows;
    private const int LineBytes = 64;

    // On the stack from the first to the last step.
    private const int PrefetchWords = 2;
    private static AssemblerMemoryOperand AfterPanel => __qword_ptr[rsp];
    private static AssemblerMemoryOperand PanelEnd => __qword_ptr[rsp + sizeof(ulong)];

    // Lines to prefetch in each step, by the least number of row blocks that then cover a block of weights.
    private static readonly (int Lines, int RowBlocks)[] PrefetchPlans = [(4, 8), (8, 4), (16, 2), (32, 1)];

    /// <summary>A product of a tile of rows (second) and a tile of weights (third), added to a tile of sums (first).</summary>
    public delegate void Product(AssemblerRegisterTMM sum, AssemblerRegisterTMM rows, AssemblerRegisterTMM weights);

    /// <summary>Emits the product with all panels.</summary>
    /// <param name="c">The assembler.</param>
    /// <param name="headerBytes">Bytes of a panel before its weights.</param>
    /// <param name="inputsPerStep">Inputs in 64 bytes of a row.</param>
    /// <param name="product">The instruction.</param>
    /// <param name="finish">Turns a panel's raw sums, which are in the result, into its products.</param>
    public static void Emit(FunctionAssembler c, int headerBytes, int inputsPerStep, Product product, Action? finish = null)
    {
        TileConfiguration.Load(c);
        PanelLoop.Emit(c, _ =>
        {
            AllInputs(c, headerBytes, inputsPerStep, product);
            finish?.Invoke();
        });
        c.tilerelease();
    }

    // All rows times one panel.
    private static void AllInputs(FunctionAssembler c, int headerBytes, int inputsPerStep, Product product)
    {
        var done = c.CreateLabel("done");
        var plans = PrefetchPlans.Select(p => c.CreateLabel($"ahead{p.Lines}")).ToArray();
        Load(c, headerBytes, inputsPerStep);
        c.mov(RowsLeft, Field(nameof(PanelArgs.RowCount)));
        for (int i = 0; i < plans.Length - 1; i++)
        {
            c.cmp(RowsLeft, (PrefetchPlans[i].RowBlocks - 1) * BlockRowCount);
            c.ja(plans[i]);
        }

        for (int i = plans.Length - 1; i >= 0; i--)
        {
            c.Mark(ref plans[i]);
            Inputs(c, PrefetchPlans[i].Lines, severalBlocks: PrefetchPlans[i].RowBlocks > 1, product);
            if (i > 0)
                c.jmp(done);
        }

        c.Mark(ref done);
        c.add(rsp, PrefetchWords * sizeof(ulong));
    }

    private static void Load(FunctionAssembler c, int headerBytes, int inputsPerStep)
    {
        c.mov(RowBytes, Field(nameof(PanelArgs.RowBytes)));
        c.mov(r8d, PanelLayout.StepBytes);
        c.mov(BlockPanel, Field(nameof(PanelArgs.Panel)));
        if (headerBytes > 0)
            c.add(BlockPanel, headerBytes);
        c.mov(BlockRows, Field(nameof(PanelArgs.Rows)));
        c.mov(StepsLeft, Field(nameof(PanelArgs.Inputs)));
        c.shr(StepsLeft, (byte)int.Log2(inputsPerStep));

        // Two words for the prefetch: the panel's end and, below it, the address that follows.
        c.mov(rax, StepsLeft);
        c.shl(rax, (byte)int.Log2(StepBytes));
        c.add(rax, BlockPanel);
        c.push(rax);
        c.mov(rax, Field(nameof(PanelArgs.Next)));
        c.cmp(rax, 0);
        c.cmove(rax, BlockPanel);
        c.push(rax);
    }

    // All blocks of inputs, or a single one, for all rows.
    private static void Inputs(FunctionAssembler c, int prefetchLines, bool severalBlocks, Product product)
    {
        var next = c.CreateLabel();
        c.mov(BlockSteps, severalBlocks ? StepsPerBlock : int.MaxValue);
        c.Mark(ref next);
        c.cmp(BlockSteps, StepsLeft);
        c.cmova(BlockSteps, StepsLeft);
        c.lea(Ahead, __[BlockPanel + StepsPerBlock * StepBytes]);
        c.cmp(Ahead, PanelEnd);
        c.cmova(Ahead, PanelEnd);
        AllRows(c, prefetchLines, severalBlocks, product);
        if (!severalBlocks)
            return;
        c.mov(rax, BlockSteps);
        c.shl(rax, (byte)int.Log2(TileConfiguration.RowBytes));
        c.add(BlockRows, rax);
        c.mov(BlockPanel, Panel);
        c.sub(StepsLeft, BlockSteps);
        c.jnz(next);
    }

    private static void AllRows(FunctionAssembler c, int prefetchLines, bool severalBlocks, Product product)
    {
        var next = c.CreateLabel();
        var oneTile = c.CreateLabel();
        var done = c.CreateLabel();
        c.mov(RowsLeft, Field(nameof(PanelArgs.RowCount)));
        c.mov(Rows, BlockRows);
        c.mov(Result, Field(nameof(PanelArgs.Result)));
        c.Mark(ref next);
        c.cmp(RowsLeft, TileConfiguration.Rows);
        c.jbe(oneTile);
        Block(c, RowTiles, prefetchLines, severalBlocks, product);
        if (severalBlocks)
        {
            c.mov(rax, RowBytes);
            c.shl(rax, (byte)int.Log2(BlockRowCount));
            c.add(Rows, rax);
            c.add(Result, BlockRowCount * PanelLayout.StepBytes);
            c.sub(RowsLeft, BlockRowCount);
            c.ja(next);
        }

        c.jmp(done);
        c.Mark(ref oneTile);
        Block(c, 1, prefetchLines, severalBlocks, product);
        c.Mark(ref done);
    }

    // One block of rows over one block of inputs. Panel ends past the block's weights.
    private static void Block(FunctionAssembler c, int rowTiles, int prefetchLines, bool severalBlocks, Product product)
    {
        var step = c.CreateLabel();
        c.mov(Panel, BlockPanel);
        c.mov(UpperRows, Rows);
        if (rowTiles > 1)
        {
            c.mov(LowerRows, RowBytes);
            c.shl(LowerRows, (byte)int.Log2(TileConfiguration.Rows));
            c.add(LowerRows, Rows);
        }

        StartSums(c, rowTiles, severalBlocks);
        c.mov(Counter, BlockSteps);
        c.Mark(ref step);
        Prefetch(c, prefetchLines);
        Step(c, rowTiles, product);
        c.add(Panel, StepBytes);
        c.add(UpperRows, TileConfiguration.RowBytes);
        if (rowTiles > 1)
            c.add(LowerRows, TileConfiguration.RowBytes);
        c.dec(Counter);
        c.jnz(step);
        ForEachSum(rowTiles, (row, column) => c.tilestored(ResultAt(row, column), Sum(row, column)));
    }

    // Any number of lines divides a step's, so the end is met exactly.
    private static void Prefetch(FunctionAssembler c, int lines)
    {
        c.cmp(Ahead, PanelEnd);
        c.cmove(Ahead, AfterPanel);
        for (int line = 0; line < lines; line++)
            c.prefetcht1(__byte_ptr[Ahead + line * LineBytes]);
        c.add(Ahead, lines * LineBytes);
    }

    // Zero in the first block of inputs, else what the block before has left in the result.
    private static void StartSums(FunctionAssembler c, int rowTiles, bool severalBlocks)
    {
        var later = c.CreateLabel();
        var started = c.CreateLabel();
        if (severalBlocks)
        {
            c.cmp(BlockRows, Field(nameof(PanelArgs.Rows)));
            c.jne(later);
        }

        ForEachSum(rowTiles, (row, column) => c.tilezero(Sum(row, column)));
        if (!severalBlocks)
            return;
        c.jmp(started);
        c.Mark(ref later);
        ForEachSum(rowTiles, (row, column) => c.tileloadd(Sum(row, column), ResultAt(row, column)));
        c.Mark(ref started);
    }

    private static void Step(FunctionAssembler c, int rowTiles, Product product)
    {
        for (int column = 0; column < ColumnTiles; column++)
            c.tileloadd(WeightsTile(column), __[Panel + PanelStride + column * TileConfiguration.RowBytes]);
        for (int row = 0; row < rowTiles; row++)
        {
            c.tileloadd(RowsTile(row), __[(row == 0 ? UpperRows : LowerRows) + RowBytes]);
            for (int column = 0; column < ColumnTiles; column++)
                product(Sum(row, column), RowsTile(row), WeightsTile(column));
        }
    }

    private static void ForEachSum(int rowTiles, Action<int, int> action)
    {
        for (int row = 0; row < rowTiles; row++)
        {
            for (int column = 0; column < ColumnTiles; column++)
                action(row, column);
        }
    }
}
