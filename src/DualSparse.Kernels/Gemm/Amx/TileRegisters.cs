using DualSparse.Kernels.Jit;
using DualSparse.Kernels.Packing;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace DualSparse.Kernels.Gemm.Amx;

/// <summary>
/// Register allocation of the AMX kernels. A block is 32 rows by the panel's 32 outputs: 2 × 2 tiles of results, two of rows, two of
/// weights, all eight there are. A step takes 64 bytes of each row and 2 KiB of the panel.
/// </summary>
internal static class TileRegisters
{
    /// <summary>Tiles of weights side by side in a panel.</summary>
    public const int ColumnTiles = 2;

    /// <summary>Tiles of rows in a full block.</summary>
    public const int RowTiles = 2;

    /// <summary>Bytes of the panel in a step: 16 steps of <see cref="PanelLayout"/>.</summary>
    public const int StepBytes = TileConfiguration.Rows * PanelLayout.StepBytes;

    // rdi holds the PanelArgs. These last over everything: bytes between rows of activations; 128, which lies between rows of a tile
    // of weights and, 32 f32 being 128 bytes, between rows of the result …
    public static readonly AssemblerRegister64 RowBytes = rcx, PanelStride = r8;

    // … these over a block of inputs: its weights, its first row, its steps, steps left with it, the address to prefetch …
    public static readonly AssemblerRegister64 BlockPanel = r14, BlockRows = r15, BlockSteps = r13, StepsLeft = r12, Ahead = r9;

    // … these over a block of rows: rows left with it, its first row, its results …
    public static readonly AssemblerRegister64 RowsLeft = rdx, Rows = r11, Result = rbp;

    // … and these move with each step: weights, both tiles of rows, steps to go.
    public static readonly AssemblerRegister64 Panel = rsi, UpperRows = rax, LowerRows = rbx, Counter = r10;

    private const int FirstRowsTile = 4, FirstWeightsTile = 6;

    /// <summary>The tile of results at a tile of rows and a tile of columns.</summary>
    public static AssemblerRegisterTMM Sum(int row, int column) => FunctionAssembler.Tmm(row * ColumnTiles + column);

    /// <summary>A tile of rows.</summary>
    public static AssemblerRegisterTMM RowsTile(int row) => FunctionAssembler.Tmm(FirstRowsTile + row);

    /// <summary>A tile of weights.</summary>
    public static AssemblerRegisterTMM WeightsTile(int column) => FunctionAssembler.Tmm(FirstWeightsTile + column);

    /// <summary>Whether a tile number is one of <see cref="RowsTile"/>.</summary>
    public static bool IsRows(int tile) => tile is >= FirstRowsTile and < FirstWeightsTile;

    /// <summary>Whether a tile number is one of <see cref="WeightsTile"/>.</summary>
    public static bool IsWeights(int tile) => tile >= FirstWeightsTile;

    /// <summary>Where a tile of results lies.</summary>
    public static AssemblerMemoryOperand ResultAt(int row, int column) =>
        __[Result + PanelStride + row * TileConfiguration.Rows * PanelLayout.StepBytes + column * TileConfiguration.RowBytes];
}
