using DualSparse.Kernels.Gemm.Avx512Dot;
using DualSparse.Kernels.Jit;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Gemm.Amx;

/// <summary>The kernels of AMX tiles.</summary>
/// <remarks>
/// There is none for int4: a scale for each 32 inputs means that every half tile product is unloaded, converted and added up by
/// AVX-512, which takes longer than the product; it would gain little over plain AVX-512 dot products.
/// </remarks>
internal static class AmxKernels
{
    /// <summary>What they are listed by.</summary>
    public const string Name = "amx";

    /// <summary>bf16: result += rows · weights in tiles of f32 (TDPBF16PS).</summary>
    /// <remarks>
    /// The instruction adds up the even and the odd products of a step apart, then both, then the sum so far. AVX-512 adds in another
    /// order: so tiles compute all rows, even a single one, lest a row's result depend on its company. It costs nothing, as a row's
    /// two tile products of 32 inputs take 32 cycles on the 2 KiB of weights that memory delivers in hundreds.
    /// </remarks>
    public static EmittedFunction Bf16Function { get; } = new("amx bf16", c => TileProduct.Emit(c, headerBytes: 0, inputsPerStep: 32,
        (sum, rows, weights) => c.tdpbf16ps(sum, rows, weights)));

    /// <summary>int8: signed rows · unsigned weights (TDPBSUD), then the correction and the scales.</summary>
    public static EmittedFunction Int8Function { get; } = new("amx int8", c => TileProduct.Emit(c, PanelLayout.Int8HeaderBytes, inputsPerStep: 64,
        (sum, rows, weights) => c.tdpbsud(sum, rows, weights), finish: () => TileInt8Finish.Emit(c)));

    /// <summary>Why bf16 can't run, or null.</summary>
    public static string? Bf16Refusal(CpuFeatures cpu) =>
        cpu.AmxBf16 && cpu.Avx512 ? null : cpu.AmxRefusal ?? "this processor has no AMX-BF16";

    /// <summary>Why int8 can't run, or null.</summary>
    public static string? Int8Refusal(CpuFeatures cpu) =>
        cpu.AmxInt8 && cpu.Avx512 ? Avx512DotKernels.VnniRefusal(cpu) : cpu.AmxRefusal ?? "this processor has no AMX-INT8";

    /// <summary>bf16.</summary>
    /// <exception cref="KernelRefusedException">It can't be placed in memory, or computes wrongly here.</exception>
    public static PanelKernel Bf16() =>
        SelfCheck.Verified(new AmxKernel(WeightFormat.Bf16, ActivationFormat.Bf16, Bf16Function, TileRates.Bf16), Bf16Refusal);

    /// <summary>int8.</summary>
    /// <exception cref="KernelRefusedException">It can't be placed in memory, or computes wrongly here.</exception>
    public static PanelKernel Int8() => SelfCheck.Verified(new AmxInt8Kernel(), Int8Refusal);
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
internal sealed class AmxInt8Kernel() : AmxKernel(WeightFormat.Int8, ActivationFormat.Int8, AmxKernels.Int8Function, TileRates.Int8)
{
    // Two tile products, 64 inputs by 32 outputs, take 32 cycles for up to 16 rows; VPDPBUSD, two a cycle, takes 16 a row. They break
    // even at two rows; four leave room for setting up the tiles and for the finish that dot products have for free.
    private const int LeastTileRows = 4;

    private readonly PanelKernel few = Avx512DotKernels.Int8();

    public override void Multiply(in PanelArgs args)
    {
        if (args.RowCount < LeastTileRows)
            few.Multiply(args);
        else
            base.Multiply(args);
    }
}
