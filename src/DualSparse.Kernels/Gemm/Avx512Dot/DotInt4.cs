using DualSparse.Kernels.Jit;
using DualSparse.Kernels.Packing;
using Iced.Intel;
using static DualSparse.Kernels.Gemm.Avx512Dot.DotRegisters;
using static DualSparse.Kernels.Jit.FunctionAssembler;
using static Iced.Intel.AssemblerRegisters;

namespace DualSparse.Kernels.Gemm.Avx512Dot;

/// <summary>
/// int4 weights, int8 rows: nibbles become unsigned bytes, a group of 32 inputs an exact integer sum (VPDPBUSD), and this sum times
/// the group's scale is added to the total.
/// </summary>
/// <remarks>
/// Registers for six rows: zmm0–zmm11 the group's sums, zmm12–zmm23 the totals, zmm24–zmm27 the unpacked nibbles (low and high of
/// both halves), zmm28 and zmm29 the group's scales; zmm30 the row's four bytes, zmm31 the nibble mask. Six rows need two cursors, so two
/// are left to walk through the sums.
/// </remarks>
internal static class DotInt4
{
    private const int LargestBlock = 6;

    // From three rows on, computing a group takes longer than reading its bytes.
    private const int ManyRows = 3;
    private const int InputsPerStep = 8;
    private const int StepsPerGroup = PanelLayout.GroupInputs / InputsPerStep;
    private const int ScaleBytes = PanelLayout.Columns * sizeof(ushort);
    private const int NibbleBits = 4;

    // What the panel adds to each weight.
    private const int WeightOffset = 8;
    private const uint NibbleMask = 0x0F0F0F0F;

    private static readonly AssemblerRegisterZMM RowVector = zmm30, Mask = zmm31;
    private static AssemblerRegisterZMM Sum(int row, int half) => Zmm(row * Halves + half);
    private static AssemblerRegisterZMM Total(int row, int half) => Zmm(12 + row * Halves + half);
    private static AssemblerRegisterZMM Low(int half) => Zmm(24 + half);
    private static AssemblerRegisterZMM High(int half) => Zmm(26 + half);
    private static AssemblerRegisterZMM Scale(int half) => Zmm(28 + half);

    /// <summary>The kernel's code.</summary>
    public static EmittedFunction Function { get; } = Make("avx512-dot int4", ManyRows);

    /// <summary>The same for processors whose prefetchers are too slow for one or two rows: every call prefetches the whole next panel.</summary>
    public static EmittedFunction WholeNextFunction { get; } = Make("avx512-dot int4, next panel whole", manyRows: 1);

    private static EmittedFunction Make(string name, int manyRows) => EmittedFunction.ForPanels(name, c =>
    {
        c.mov(eax, NibbleMask);
        c.vpbroadcastd(Mask, eax);
        RowBlocks.Emit(c, LargestBlock, PanelLayout.GroupBytes, manyRows, integers: true, Block);
    });

    private static void Block(FunctionAssembler c, int rows)
    {
        var sumCursors = SpareCursors(LargestBlock);
        var group = c.CreateLabel();
        for (int row = 0; row < rows; row++)
        {
            for (int half = 0; half < Halves; half++)
                c.vpxord(Total(row, half), Total(row, half), Total(row, half));
        }

        PointRows(c, rows);
        PointCursors(c, sumCursors, Sums, SumBytes, rows);
        c.mov(Panel, Field(nameof(PanelArgs.Panel)));
        c.mov(Counter, Field(nameof(PanelArgs.Inputs)));
        c.shr(Counter, (byte)int.Log2(PanelLayout.GroupInputs));
        c.Mark(ref group);
        PanelPrefetch.Round(c, PanelLayout.GroupBytes);
        LoadScales(c);
        StartSums(c, rows, sumCursors);
        for (int step = 0; step < StepsPerGroup; step++)
            Step(c, rows, step);
        AddToTotals(c, rows);
        AdvanceRows(c, rows, PanelLayout.GroupInputs);
        Advance(c, sumCursors, rows, sizeof(int));
        c.add(Panel, PanelLayout.GroupBytes);
        c.dec(Counter);
        c.jnz(group);
        Finish(c, rows);
    }

    private static void StartSums(FunctionAssembler c, int rows, AssemblerRegister64[] sumCursors)
    {
        for (int row = 0; row < rows; row++)
        {
            c.imul(Scratch, At(sumCursors, SumBytes, row, 0), -WeightOffset);
            c.vpbroadcastd(Sum(row, 0), Scratch);
            c.vmovdqa32(Sum(row, 1), Sum(row, 0));
        }
    }

    // Low nibbles are a step's first four inputs, high nibbles its last four.
    private static void Step(FunctionAssembler c, int rows, int step)
    {
        for (int half = 0; half < Halves; half++)
        {
            c.vmovdqu32(High(half), __zmmword_ptr[Panel + ScaleBytes + step * PanelLayout.StepBytes + half * VectorBytes]);
            c.vpandd(Low(half), High(half), Mask);
            c.vpsrlw(High(half), High(half), NibbleBits);
            c.vpandd(High(half), High(half), Mask);
        }

        for (int row = 0; row < rows; row++)
        {
            c.vpbroadcastd(RowVector, RowAt(row, step * InputsPerStep));
            for (int half = 0; half < Halves; half++)
                c.vpdpbusd(Sum(row, half), Low(half), RowVector);
            c.vpbroadcastd(RowVector, RowAt(row, step * InputsPerStep + sizeof(int)));
            for (int half = 0; half < Halves; half++)
                c.vpdpbusd(Sum(row, half), High(half), RowVector);
        }
    }

    // Read first, in the order of memory, which the processor's prefetchers follow. Widening a bf16 is a shift into the upper half.
    private static void LoadScales(FunctionAssembler c)
    {
        for (int half = 0; half < Halves; half++)
        {
            c.vpmovzxwd(Scale(half), __ymmword_ptr[Panel + half * (ScaleBytes / Halves)]);
            c.vpslld(Scale(half), Scale(half), 16);
        }
    }

    private static void AddToTotals(FunctionAssembler c, int rows)
    {
        for (int row = 0; row < rows; row++)
        {
            for (int half = 0; half < Halves; half++)
            {
                c.vcvtdq2ps(Sum(row, half), Sum(row, half));
                c.vfmadd231ps(Total(row, half), Sum(row, half), Scale(half));
            }
        }
    }

    private static void Finish(FunctionAssembler c, int rows)
    {
        RowBlocks.PointScales(c);
        for (int row = 0; row < rows; row++)
        {
            for (int half = 0; half < Halves; half++)
            {
                c.vmulps(Total(row, half), Total(row, half), __dword_bcst[RowScales + row * sizeof(float)]);
                c.vmovups(__zmmword_ptr[Result + row * PanelLayout.Columns * sizeof(float) + half * VectorBytes], Total(row, half));
            }
        }
    }
}
