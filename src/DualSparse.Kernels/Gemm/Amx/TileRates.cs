using DualSparse.Kernels.Jit;
using Iced.Intel;
using static DualSparse.Kernels.Gemm.Amx.TileRegisters;
using static DualSparse.Kernels.Jit.FunctionAssembler;
using static Iced.Intel.AssemblerRegisters;

namespace DualSparse.Kernels.Gemm.Amx;

/// <summary>Tile products on registers alone: the four of a block, over and over.</summary>
internal static class TileRates
{
    // Columns of a tile of 32-bit sums, and 32-bit elements of a row of a narrow one.
    private const int Columns = 16, Depth = 16;

    /// <summary>TDPBF16PS: two products an element.</summary>
    public static RateLoop Bf16 { get; } = Loop("amx bf16 rate", 2, ActivationFormat.Bf16, (c, sum, a, b) => c.tdpbf16ps(sum, a, b));

    /// <summary>TDPBSUD: four products an element.</summary>
    public static RateLoop Int8 { get; } = Loop("amx int8 rate", 4, ActivationFormat.Int8, (c, sum, a, b) => c.tdpbsud(sum, a, b));

    private static RateLoop Loop(
        string name,
        int productsPerElement,
        ActivationFormat activations,
        Action<Assembler, AssemblerRegisterTMM, AssemblerRegisterTMM, AssemblerRegisterTMM> product)
    {
        var function = new EmittedFunction(name, c =>
        {
            var loop = c.CreateLabel();
            var table = c.Constant(TileConfiguration.ForEachRowCount());
            c.lea(rax, __[table]);
            c.ldtilecfg(__[rax + (TileConfiguration.Rows - 1) * TileConfiguration.Bytes]);
            c.mov(ecx, TileConfiguration.RowBytes);
            LoadTiles(c, nameof(PanelArgs.Rows), RowsTile);
            LoadTiles(c, nameof(PanelArgs.Panel), WeightsTile);
            ForEachSum((row, column) => c.tilezero(Sum(row, column)));
            c.mov(rax, Field(nameof(PanelArgs.Inputs)));
            c.Mark(ref loop);
            ForEachSum((row, column) => product(c, Sum(row, column), RowsTile(row), WeightsTile(column)));
            c.dec(rax);
            c.jnz(loop);
            c.tilerelease();
        });
        long operations = 2L * productsPerElement * TileConfiguration.Rows * Columns * Depth * RowTiles * ColumnTiles;
        return new RateLoop(function, operations, activations);
    }

    private static void LoadTiles(FunctionAssembler c, string field, Func<int, AssemblerRegisterTMM> tile)
    {
        c.mov(rax, Field(field));
        for (int i = 0; i < 2; i++)
            c.tileloadd(tile(i), __[rax + rcx]);
    }

    private static void ForEachSum(Action<int, int> action)
    {
        for (int row = 0; row < RowTiles; row++)
        {
            for (int column = 0; column < ColumnTiles; column++)
                action(row, column);
        }
    }
}
