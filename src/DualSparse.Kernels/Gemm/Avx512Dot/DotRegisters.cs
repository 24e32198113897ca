using DualSparse.Kernels.Jit;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace DualSparse.Kernels.Gemm.Avx512Dot;

/// <summary>
/// Register allocation of the AVX-512 dot-product kernels. One step of a panel (32 outputs of four bytes) is two vectors of weights,
/// "halves"; a row's four bytes are repeated in all lanes of one vector; a row has one accumulator a half.
/// </summary>
internal static class DotRegisters
{
    /// <summary>Vectors in a step.</summary>
    public const int Halves = 2;

    /// <summary>Bytes of a vector.</summary>
    public const int VectorBytes = 64;

    // rdi holds the PanelArgs. These last over blocks of rows …
    public static readonly AssemblerRegister64 RowBytes = rcx, RowsLeft = rdx, Rows = rbx, Result = rbp;

    // … these too, in the integer kernels: sums of the block's first row, bytes between two rows' sums …
    public static readonly AssemblerRegister64 Sums = r14, SumBytes = r15;

    // … and these live within a block: weights, what to prefetch, rounds left with the loop, and outside it the scales.
    public static readonly AssemblerRegister64 Panel = rsi, Ahead = r13, Counter = rax, RowScales = rax;
    public static readonly AssemblerRegister64 WideScratch = r12;
    public static readonly AssemblerRegister32 Scratch = r12d;

    // Each points into a row and serves the two rows after it as well, through RowBytes as an index.
    private static readonly AssemblerRegister64[] Cursors = [r8, r9, r10, r11];
    private const int RowsPerCursor = 3;

    /// <summary>Additional cursors, where few rows leave some free.</summary>
    public static AssemblerRegister64[] SpareCursors(int rows) => Cursors[CursorCount(rows)..];

    /// <summary>Points cursors at the rows of a block that starts at <paramref name="first"/>.</summary>
    public static void PointCursors(FunctionAssembler c, AssemblerRegister64[] cursors, AssemblerRegister64 first, AssemblerRegister64 stride, int rows)
    {
        for (int i = 0; i < CursorCount(rows); i++)
        {
            if (i == 0)
            {
                c.mov(cursors[0], first);
            }
            else
            {
                c.lea(cursors[i], __[cursors[i - 1] + stride * 2]);
                c.add(cursors[i], stride);
            }
        }
    }

    /// <summary>Points the row cursors at the rows of the block.</summary>
    public static void PointRows(FunctionAssembler c, int rows) => PointCursors(c, Cursors, Rows, RowBytes, rows);

    /// <summary>Moves cursors on, all by the same number of bytes.</summary>
    public static void Advance(FunctionAssembler c, AssemblerRegister64[] cursors, int rows, int bytes)
    {
        for (int i = 0; i < CursorCount(rows); i++)
            c.add(cursors[i], bytes);
    }

    /// <summary>Moves the row cursors on.</summary>
    public static void AdvanceRows(FunctionAssembler c, int rows, int bytes) => Advance(c, Cursors, rows, bytes);

    /// <summary>Four bytes of a row, at an offset from its cursor.</summary>
    public static AssemblerMemoryOperand RowAt(int row, int bytes) => At(Cursors, RowBytes, row, bytes);

    /// <summary>Four bytes at an offset from the cursor of <paramref name="row"/>.</summary>
    public static AssemblerMemoryOperand At(AssemblerRegister64[] cursors, AssemblerRegister64 stride, int row, int bytes) =>
        (row % RowsPerCursor) switch
        {
            0 => __dword_ptr[cursors[row / RowsPerCursor] + bytes],
            var ahead => __dword_ptr[cursors[row / RowsPerCursor] + stride * ahead + bytes],
        };

    private static int CursorCount(int rows) => (rows + RowsPerCursor - 1) / RowsPerCursor;
}
