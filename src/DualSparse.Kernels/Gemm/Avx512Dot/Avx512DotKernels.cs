using DualSparse.Kernels.Jit;

namespace DualSparse.Kernels.Gemm.Avx512Dot;

/// <summary>The kernels of AVX-512 dot products, which C# has no 512-bit names for: they are assembled at run time.</summary>
internal static class Avx512DotKernels
{
    /// <summary>Their name in the kernel table.</summary>
    public const string Name = "avx512-dot";

    /// <summary>Why bf16 can't run, or null.</summary>
    public static string? Bf16Refusal(CpuFeatures cpu) => cpu.Avx512 && cpu.Avx512Bf16 ? null : "this processor has no AVX512-BF16";

    /// <summary>Why int8 and int4 can't run, or null.</summary>
    public static string? VnniRefusal(CpuFeatures cpu) => cpu.Avx512 && cpu.Avx512Vnni ? null : "this processor has no AVX512-VNNI";

    /// <summary>bf16.</summary>
    /// <exception cref="KernelRefusedException">It can't be placed in memory, or computes wrongly here.</exception>
    public static PanelKernel Bf16() =>
        SelfCheck.Verified(new EmittedKernel(Name, WeightFormat.Bf16, ActivationFormat.Bf16, DotBf16.Function, DotRates.Bf16), Bf16Refusal);

    /// <summary>int8.</summary>
    /// <exception cref="KernelRefusedException">It can't be placed in memory, or computes wrongly here.</exception>
    public static PanelKernel Int8() =>
        SelfCheck.Verified(new EmittedKernel(Name, WeightFormat.Int8, ActivationFormat.Int8, DotInt8.Function, DotRates.Int8), VnniRefusal);

    /// <summary>int4.</summary>
    /// <exception cref="KernelRefusedException">It can't be placed in memory, or computes wrongly here.</exception>
    public static PanelKernel Int4() =>
        SelfCheck.Verified(new EmittedKernel(Name, WeightFormat.Int4, ActivationFormat.Int8, DotInt4.Function, DotRates.Int8), VnniRefusal);

    /// <summary>int4 that prefetches the whole next panel, for use with AMX.</summary>
    /// <exception cref="KernelRefusedException">It can't be placed in memory.</exception>
    public static PanelKernel Int4WholeNext() =>
        new EmittedKernel(Name, WeightFormat.Int4, ActivationFormat.Int8, DotInt4.WholeNextFunction, DotRates.Int8);
}
