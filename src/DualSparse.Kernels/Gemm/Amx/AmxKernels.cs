using DualSparse.Kernels.Gemm.Avx512Dot;
using DualSparse.Kernels.Jit;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Gemm.Amx;

/// <summary>The kernels of AMX tiles.</summary>
internal static class AmxKernels
{
    /// <summary>Their name in the kernel table.</summary>
    public const string Name = "amx";

    // A whole tile. With fewer rows and weights from memory, dot products are up to 1.5 times as fast, and equally fast at 12 rows.
    private const int LeastInt4Rows = 16;

    /// <summary>bf16: result += rows · weights in tiles of f32 (TDPBF16PS).</summary>
    /// <remarks>
    /// The instruction adds up the even and the odd products of a step apart, then both, then the sum so far. AVX-512 adds in another
    /// order: so tiles compute all rows, even a single one, so that results are batch-invariant. It costs nothing, as a row's
    /// two tile products of 32 inputs take 32 cycles on the 2 KiB of weights that memory delivers in hundreds.
    /// </remarks>
    public static EmittedFunction Bf16Function { get; } = new("amx bf16", c => TileProduct.Emit(c, headerBytes: 0, inputsPerStep: 32,
        (sum, rows, weights) => c.tdpbf16ps(sum, rows, weights)));

    /// <summary>int8: signed rows · unsigned weights (TDPBSUD), then the correction and the scales.</summary>
    /// <remarks>
    /// Tiles compute any number of rows: the next panel is fetched while this one is multiplied, and streaming from memory they read
    /// 1.05 times as fast as dot products with one row, 1.3 to 1.7 times with two to six.
    /// </remarks>
    public static EmittedFunction Int8Function { get; } = new("amx int8", c => TileProduct.Emit(c, PanelLayout.Int8HeaderBytes, inputsPerStep: 64,
        (sum, rows, weights) => c.tdpbsud(sum, rows, weights), finish: () => TileInt8Finish.Emit(c)));

    /// <summary>int4: <see cref="TileInt4"/>.</summary>
    public static EmittedFunction Int4Function => TileInt4.Function;

    /// <summary>Why bf16 can't run, or null.</summary>
    public static string? Bf16Refusal(CpuFeatures cpu) =>
        cpu.AmxBf16 && cpu.Avx512 ? null : cpu.AmxRefusal ?? "this processor has no AMX-BF16";

    /// <summary>Why int8 and int4 can't run, or null.</summary>
    public static string? IntegerRefusal(CpuFeatures cpu) =>
        cpu.AmxInt8 && cpu.Avx512 ? Avx512DotKernels.VnniRefusal(cpu) : cpu.AmxRefusal ?? "this processor has no AMX-INT8";

    /// <summary>bf16.</summary>
    /// <exception cref="KernelRefusedException">It can't be placed in memory, or computes wrongly here.</exception>
    public static PanelKernel Bf16() =>
        SelfCheck.Verified(new AmxKernel(WeightFormat.Bf16, ActivationFormat.Bf16, Bf16Function, TileRates.Bf16), Bf16Refusal);

    /// <summary>int8.</summary>
    /// <exception cref="KernelRefusedException">It can't be placed in memory, or computes wrongly here.</exception>
    public static PanelKernel Int8() => SelfCheck.Verified(
        new AmxKernel(WeightFormat.Int8, ActivationFormat.Int8, Int8Function, TileRates.Int8), IntegerRefusal);

    /// <summary>int4.</summary>
    /// <exception cref="KernelRefusedException">It can't be placed in memory, or computes wrongly here.</exception>
    public static PanelKernel Int4() => SelfCheck.Verified(
        new AmxInt4Kernel(Int4Function, LeastInt4Rows, Avx512DotKernels.Int4WholeNext()), IntegerRefusal);
}

/// <summary>A kernel whose threads are prepared for tiles.</summary>
internal class AmxKernel(WeightFormat weights, ActivationFormat activations, EmittedFunction function, RateLoop ceiling)
    : EmittedKernel(AmxKernels.Name, weights, activations, function, ceiling)
{
    public override void Multiply(in PanelArgs args)
    {
        SignalStack.Ensure();
        base.Multiply(args);
    }

    public override long RunCeiling(int rounds)
    {
        SignalStack.Ensure();
        return base.RunCeiling(rounds);
    }
}

/// <summary>Tiles for many rows, AVX-512 dot products for few: integer sums are exact, so both give the same.</summary>
internal sealed class AmxInt4Kernel(EmittedFunction function, int leastTileRows, PanelKernel few)
    : AmxKernel(WeightFormat.Int4, ActivationFormat.Int8, function, TileRates.Int8)
{
    public override void Multiply(in PanelArgs args)
    {
        if (args.RowCount < leastTileRows)
            few.Multiply(args);
        else
            base.Multiply(args);
    }
}
