using DualSparse.Kernels.Jit;
using DualSparse.Kernels.Packing;
using Iced.Intel;
using static DualSparse.Kernels.Gemm.Amx.TileRegisters;
using static DualSparse.Kernels.Jit.FunctionAssembler;
using static Iced.Intel.AssemblerRegisters;

namespace DualSparse.Kernels.Gemm.Amx;

/// <summary>int4 weights, int8 rows: nibbles become signed bytes once for all rows, a group of 32 inputs is a tile product of half depth (TDPBSSD).</summary>
/// <remarks>
/// <para>Each group has its own scale, so each of its sums leaves the tiles: stored, loaded again, converted, multiplied by the scale and
/// added to a total, by AVX-512. For 16 rows and 16 outputs that is 16 cycles of stores and 16 of arithmetic beside 16 of the product, which
/// can run at the same time: 8,192 multiply-adds in some 20 cycles, where dot products (VPDPBUSD, two a cycle) take 64 and the unpacking of
/// nibbles for every six rows. The sums are the same integers as theirs, and so are the totals.</para>
/// <para>Order of loops: inputs are cut into blocks, whose weights, unpacked on the stack, and scales are 18 KiB: they stay in the
/// first-level cache while all rows pass, sixteen at a time, 16 outputs after 16 outputs, whose totals are 16 registers.</para>
/// <para>Prefetch. Each round of two groups prefetches one group of the next block of packed weights, or of the beginning of
/// <see cref="PanelArgs.Next"/>: 16 rows pass over a block twice, half by half, which prefetches all of it.</para>
/// </remarks>
internal static class TileInt4
{
    private const int GroupsPerBlock = 16, GroupsPerRound = 2;
    private const int VectorBytes = 64, LineBytes = 64, NibbleBits = 4;
    private const int Halves = ColumnTiles;

    // Of a packed group: the scales, then steps of eight inputs.
    private const int PackedScaleBytes = PanelLayout.Columns * sizeof(ushort), PackedStepInputs = 8;

    // Of an unpacked one: steps of four inputs as in int8, then the scales in f32.
    private const int WeightBytes = PanelLayout.GroupInputs * PanelLayout.Columns;
    private const int UnpackedBytes = WeightBytes + PanelLayout.Columns * sizeof(float);

    // On the stack: a block of unpacked groups, then the sums of a round's groups side by side.
    private const int RoundSums = GroupsPerBlock * UnpackedBytes;
    private const int ScratchBytes = RoundSums + TileConfiguration.Rows * GroupsPerRound * VectorBytes;

    private const uint NibbleMask = 0x0F0F0F0F, Eights = 0x08080808;

    // On the stack from the first to the last block.
    private const int Words = 2;
    private static AssemblerMemoryOperand BlockGroups => __qword_ptr[rsp];
    private static AssemblerMemoryOperand AheadEnd => __qword_ptr[rsp + sizeof(ulong)];

    // RowBytes, PanelStride, BlockPanel, BlockRows, RowsLeft, Rows and Counter are where the other tile kernels have them.
    private static readonly AssemblerRegister64 Scratch = rbp, GroupsLeft = r12, Result = r9, Ahead = rbx;

    // These move within a block: packed groups or a row, unpacked groups.
    private static readonly AssemblerRegister64 Source = rax, Group = rsi;

    private static readonly AssemblerRegisterZMM Eight = zmm30, Mask = zmm31;

    private static AssemblerRegisterZMM Total(int row) => Zmm(row);

    // Enough registers that conversions are independent.
    private static AssemblerRegisterZMM Converted(int row) => Zmm(TileConfiguration.Rows + row % 8);

    private static AssemblerRegisterZMM Scale(int group) => Zmm(24 + group);

    /// <summary>The kernel's code.</summary>
    public static EmittedFunction Function { get; } = new("amx int4", c =>
    {
        TileConfiguration.Load(c, PanelLayout.GroupInputs);
        c.sub(rsp, ScratchBytes + LineBytes);
        PanelLoop.Emit(c, AllInputs);
        c.add(rsp, ScratchBytes + LineBytes);
        c.tilerelease();
    });

    // All rows times one panel.
    private static void AllInputs(FunctionAssembler c)
    {
        var next = c.CreateLabel();
        Load(c);
        c.Mark(ref next);
        c.mov(Counter, GroupsPerBlock);
        c.cmp(Counter, GroupsLeft);
        c.cmova(Counter, GroupsLeft);
        c.mov(BlockGroups, Counter);
        AimPrefetch(c);
        Unpack(c);
        AllRows(c);
        c.mov(rax, BlockGroups);
        c.sub(GroupsLeft, rax);
        c.imul(rbx, rax, PanelLayout.GroupBytes);
        c.add(BlockPanel, rbx);
        c.imul(rbx, rax, PanelLayout.GroupInputs);
        c.add(BlockRows, rbx);
        c.cmp(GroupsLeft, 0);
        c.jne(next);
        c.add(rsp, Words * sizeof(ulong));
        ScaleRows(c);
    }

    private static void Load(FunctionAssembler c)
    {
        // The first whole cache line of the scratch.
        c.lea(Scratch, __[rsp + sizeof(ulong) + LineBytes - 1]);
        c.shr(Scratch, (byte)int.Log2(LineBytes));
        c.shl(Scratch, (byte)int.Log2(LineBytes));
        c.mov(eax, NibbleMask);
        c.vpbroadcastd(Mask, eax);
        c.mov(eax, Eights);
        c.vpbroadcastd(Eight, eax);
        c.mov(RowBytes, Field(nameof(PanelArgs.RowBytes)));
        c.mov(r8d, PanelLayout.StepBytes);
        c.mov(BlockPanel, Field(nameof(PanelArgs.Panel)));
        c.mov(BlockRows, Field(nameof(PanelArgs.Rows)));
        c.mov(GroupsLeft, Field(nameof(PanelArgs.Inputs)));
        c.shr(GroupsLeft, (byte)int.Log2(PanelLayout.GroupInputs));
        c.sub(rsp, Words * sizeof(ulong));
    }

    // To the next block or, in the last one, to the next panel as far as this one is read; nowhere if there is none.
    private static void AimPrefetch(FunctionAssembler c)
    {
        var end = c.CreateLabel();
        var aimed = c.CreateLabel();
        c.lea(Ahead, __[BlockPanel + GroupsPerBlock * PanelLayout.GroupBytes]);
        c.mov(rax, GroupsLeft);
        c.sub(rax, GroupsPerBlock);
        c.ja(end);
        c.mov(Ahead, Field(nameof(PanelArgs.Next)));
        c.mov(AheadEnd, Ahead);
        c.cmp(Ahead, 0);
        c.je(aimed);
        c.mov(rax, Field(nameof(PanelArgs.Inputs)));
        c.shr(rax, (byte)int.Log2(PanelLayout.GroupInputs));
        c.Mark(ref end);
        c.mov(Counter, GroupsPerBlock);
        c.cmp(rax, Counter);
        c.cmova(rax, Counter);
        c.imul(rax, rax, PanelLayout.GroupBytes);
        c.add(rax, Ahead);
        c.mov(AheadEnd, rax);
        c.Mark(ref aimed);
    }

    private static void Unpack(FunctionAssembler c)
    {
        var next = c.CreateLabel();
        c.mov(Source, BlockPanel);
        c.mov(Group, Scratch);
        c.mov(Counter, BlockGroups);
        c.Mark(ref next);
        for (int half = 0; half < Halves; half++)
        {
            // Widening a bf16 is a shift into the upper half.
            var scale = Zmm(half);
            c.vpmovzxwd(scale, __ymmword_ptr[Source + half * (PackedScaleBytes / Halves)]);
            c.vpslld(scale, scale, 16);
            c.vmovups(__zmmword_ptr[Group + WeightBytes + half * VectorBytes], scale);
        }

        for (int step = 0; step < PanelLayout.GroupInputs / PackedStepInputs; step++)
        {
            for (int half = 0; half < Halves; half++)
            {
                // Low nibbles are the step's first four inputs, high nibbles its last four.
                var (low, high) = (Zmm(4 * step + 2 * half), Zmm(4 * step + 2 * half + 1));
                c.vmovdqu32(high, __zmmword_ptr[Source + PackedScaleBytes + step * PanelLayout.StepBytes + half * VectorBytes]);
                c.vpandd(low, high, Mask);
                c.vpsrlw(high, high, NibbleBits);
                c.vpandd(high, high, Mask);
                c.vpsubb(low, low, Eight);
                c.vpsubb(high, high, Eight);
                c.vmovups(__zmmword_ptr[Group + 2 * step * PanelLayout.StepBytes + half * VectorBytes], low);
                c.vmovups(__zmmword_ptr[Group + (2 * step + 1) * PanelLayout.StepBytes + half * VectorBytes], high);
            }
        }

        c.add(Source, PanelLayout.GroupBytes);
        c.add(Group, UnpackedBytes);
        c.dec(Counter);
        c.jnz(next);
    }

    // All rows over one block of inputs, sixteen at a time; of a remainder whole tiles are computed.
    private static void AllRows(FunctionAssembler c)
    {
        var next = c.CreateLabel();
        c.mov(RowsLeft, Field(nameof(PanelArgs.RowCount)));
        c.mov(Rows, BlockRows);
        c.mov(Result, Field(nameof(PanelArgs.Result)));
        c.Mark(ref next);
        for (int half = 0; half < Halves; half++)
            Block(c, half);
        c.mov(rax, RowBytes);
        c.shl(rax, (byte)int.Log2(TileConfiguration.Rows));
        c.add(Rows, rax);
        c.add(Result, TileConfiguration.Rows * PanelLayout.StepBytes);
        c.sub(RowsLeft, TileConfiguration.Rows);
        c.ja(next);
    }

    // Sixteen rows times sixteen outputs over one block of inputs.
    private static void Block(FunctionAssembler c, int half)
    {
        var round = c.CreateLabel();
        StartTotals(c, half);
        c.mov(Group, Scratch);
        c.mov(Source, Rows);
        c.mov(Counter, BlockGroups);
        c.shr(Counter, (byte)int.Log2(GroupsPerRound));
        c.Mark(ref round);
        Prefetch(c);
        for (int g = 0; g < GroupsPerRound; g++)
        {
            c.tileloadd(WeightsTile(g), __[Group + PanelStride + g * UnpackedBytes + half * TileConfiguration.RowBytes]);
            c.tileloadd(RowsTile(g), __[Source + RowBytes + g * PanelLayout.GroupInputs]);
            c.tilezero(Tmm(g));
            c.tdpbssd(Tmm(g), RowsTile(g), WeightsTile(g));
            c.tilestored(__[Scratch + PanelStride + RoundSums + g * VectorBytes], Tmm(g));
        }

        for (int g = 0; g < GroupsPerRound; g++)
        {
            c.vmovups(Scale(g), __zmmword_ptr[Group + g * UnpackedBytes + WeightBytes + half * VectorBytes]);
            for (int row = 0; row < TileConfiguration.Rows; row++)
            {
                c.vcvtdq2ps(Converted(row), __zmmword_ptr[Scratch + RoundSums + row * PanelLayout.StepBytes + g * VectorBytes]);
                c.vfmadd231ps(Total(row), Converted(row), Scale(g));
            }
        }

        c.add(Group, GroupsPerRound * UnpackedBytes);
        c.add(Source, GroupsPerRound * PanelLayout.GroupInputs);
        c.dec(Counter);
        c.jnz(round);
        for (int row = 0; row < TileConfiguration.Rows; row++)
            c.vmovups(TotalAt(row, half), Total(row));
    }

    // Zero in the first block of inputs, else what the block before has left in the result.
    private static void StartTotals(FunctionAssembler c, int half)
    {
        var later = c.CreateLabel();
        var started = c.CreateLabel();
        c.cmp(BlockRows, Field(nameof(PanelArgs.Rows)));
        c.jne(later);
        for (int row = 0; row < TileConfiguration.Rows; row++)
            c.vpxord(Total(row), Total(row), Total(row));
        c.jmp(started);
        c.Mark(ref later);
        for (int row = 0; row < TileConfiguration.Rows; row++)
            c.vmovups(Total(row), TotalAt(row, half));
        c.Mark(ref started);
    }

    private static void Prefetch(FunctionAssembler c)
    {
        var no = c.CreateLabel();
        c.cmp(Ahead, AheadEnd);
        c.jae(no);
        for (int line = 0; line < PanelLayout.GroupBytes; line += LineBytes)
            c.prefetcht1(__byte_ptr[Ahead + line]);
        c.add(Ahead, PanelLayout.GroupBytes);
        c.Mark(ref no);
    }

    // Totals times their row's scale.
    private static void ScaleRows(FunctionAssembler c)
    {
        var next = c.CreateLabel();
        var (result, rowScales) = (rax, rsi);
        c.mov(result, Field(nameof(PanelArgs.Result)));
        c.mov(rowScales, Field(nameof(PanelArgs.RowScales)));
        c.mov(RowsLeft, Field(nameof(PanelArgs.RowCount)));
        c.Mark(ref next);
        for (int half = 0; half < Halves; half++)
        {
            c.vmovups(Zmm(half), __zmmword_ptr[result + half * VectorBytes]);
            c.vmulps(Zmm(half), Zmm(half), __dword_bcst[rowScales]);
            c.vmovups(__zmmword_ptr[result + half * VectorBytes], Zmm(half));
        }

        c.add(result, PanelLayout.StepBytes);
        c.add(rowScales, sizeof(float));
        c.dec(RowsLeft);
        c.jnz(next);
    }

    private static AssemblerMemoryOperand TotalAt(int row, int half) => __zmmword_ptr[Result + row * PanelLayout.StepBytes + half * VectorBytes];
}
