using System.Diagnostics;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Gemm.Amx;
using DualSparse.Kernels.Gemm.Avx2;
using DualSparse.Kernels.Gemm.Avx512;
using DualSparse.Kernels.Gemm.Avx512Dot;
using DualSparse.Kernels.Gemm.Portable;
using DualSparse.Kernels.Gemm.Scalar;
using DualSparse.Kernels.Jit;

namespace DualSparse.Kernels;

/// <summary>One line of <see cref="KernelTable"/>.</summary>
/// <param name="Name">The name by which it is forced and reported.</param>
/// <param name="Weights">The weights that it multiplies.</param>
/// <param name="Refusal">Null where a processor can run it, else one clause that says why not. Costs nothing.</param>
/// <param name="Create">Makes the kernel; throws for what only trying shows (no executable memory, a failed self-check).</param>
internal sealed record KernelEntry(string Name, WeightFormat Weights, Func<CpuFeatures, string?> Refusal, Func<PanelKernel> Create)
{
    /// <summary>Makes the kernel, or returns one clause that says why this machine can't run it; null where it can.</summary>
    public string? TryCreate(CpuFeatures cpu, out PanelKernel? kernel)
    {
        kernel = null;
        if (Refusal(cpu) is { } refusal)
            return refusal;
        try
        {
            kernel = Create();
            return null;
        }
        catch (KernelRefusedException e)
        {
            return e.Message;
        }
    }
}

/// <summary>THE table of kernels: for each weight format, in order of preference.</summary>
/// <remarks>
/// The environment variable <c>DUALSPARSE_KERNEL</c> forces one by name; a format that has no kernel of this name takes the first
/// that follows it in the order amx, avx512-dot, avx512, avx2, vector, scalar. Unforced, bf16 takes avx512 before avx512-dot where
/// <see cref="CpuFeatures.SlowBf16Dot"/> says so, because prompts are then faster.
/// </remarks>
internal static class KernelTable
{
    /// <summary>The environment variable that forces a kernel.</summary>
    public const string Variable = "DUALSPARSE_KERNEL";

    /// <summary>Kernel names, from the most to the least preferred.</summary>
    public static IReadOnlyList<string> Names { get; } = ["amx", "avx512-dot", "avx512", "avx2", "vector", "scalar"];

    /// <summary>Every kernel, the best of each format first.</summary>
    public static IReadOnlyList<KernelEntry> Entries { get; } =
    [
        new(AmxKernels.Name, WeightFormat.Bf16, AmxKernels.Bf16Refusal, AmxKernels.Bf16),
        new(AmxKernels.Name, WeightFormat.Int8, AmxKernels.IntegerRefusal, AmxKernels.Int8),
        new(AmxKernels.Name, WeightFormat.Int4, AmxKernels.IntegerRefusal, AmxKernels.Int4),
        new(Avx512DotKernels.Name, WeightFormat.Bf16, Avx512DotKernels.Bf16Refusal, Avx512DotKernels.Bf16),
        new(Avx512DotKernels.Name, WeightFormat.Int8, Avx512DotKernels.VnniRefusal, Avx512DotKernels.Int8),
        new(Avx512DotKernels.Name, WeightFormat.Int4, Avx512DotKernels.VnniRefusal, Avx512DotKernels.Int4),
        new("avx512", WeightFormat.F32, NeedsAvx512, () => new Avx512F32Kernel()),
        new("avx512", WeightFormat.Bf16, NeedsAvx512, () => new Avx512Bf16Kernel()),
        new("avx512", WeightFormat.Int8, NeedsAvx512, () => new Avx512Int8Kernel()),
        new("avx512", WeightFormat.Int4, NeedsAvx512, () => new Avx512Int4Kernel()),
        new("avx2", WeightFormat.F32, NeedsAvx2, () => new Avx2F32Kernel()),
        new("avx2", WeightFormat.Bf16, NeedsAvx2, () => new Avx2Bf16Kernel()),
        new("avx2", WeightFormat.Int8, NeedsAvx2, () => new Avx2Int8Kernel()),
        new("avx2", WeightFormat.Int4, NeedsAvx2, () => new Avx2Int4Kernel()),
        new("vector", WeightFormat.F32, _ => null, () => new PortableF32Kernel()),
        new("vector", WeightFormat.Bf16, _ => null, () => new PortableBf16Kernel()),
        new("vector", WeightFormat.Int8, _ => null, () => new PortableInt8Kernel()),
        new("vector", WeightFormat.Int4, _ => null, () => new PortableInt4Kernel()),
        new("scalar", WeightFormat.F32, _ => null, () => new ScalarF32Kernel()),
        new("scalar", WeightFormat.Bf16, _ => null, () => new ScalarBf16Kernel()),
        new("scalar", WeightFormat.Int8, _ => null, () => new ScalarInt8Kernel()),
        new("scalar", WeightFormat.Int4, _ => null, () => new ScalarInt4Kernel()),
    ];

    /// <summary>The kernel to use for a format: the most preferred that this machine runs, or that <see cref="Variable"/> forces.</summary>
    /// <exception cref="InvalidOperationException">The variable names no kernel, or one that this machine can't run.</exception>
    public static PanelKernel Choose(WeightFormat weights) =>
        Choose(weights, CpuFeatures.Current, Environment.GetEnvironmentVariable(Variable));

    /// <summary>As <see cref="Choose(WeightFormat)"/>, for a given machine and a given forced name (null or empty: none).</summary>
    /// <exception cref="InvalidOperationException">The name is none of <see cref="Names"/>, or this machine can't run it.</exception>
    public static PanelKernel Choose(WeightFormat weights, CpuFeatures cpu, string? forced) => Choose(Entries, weights, cpu, forced);

    /// <summary>As <see cref="Choose(WeightFormat, CpuFeatures, string?)"/>, from another table.</summary>
    internal static PanelKernel Choose(IEnumerable<KernelEntry> entries, WeightFormat weights, CpuFeatures cpu, string? forced)
    {
        int first = string.IsNullOrEmpty(forced) ? 0 : Rank(forced);
        if (first < 0)
            throw new InvalidOperationException($"{Variable}={forced}: expected one of {string.Join(", ", Names)}");
        var candidates = entries.Where(e => e.Weights == weights && Rank(e.Name) >= first);
        if (string.IsNullOrEmpty(forced) && cpu.SlowBf16Dot && weights == WeightFormat.Bf16)
            candidates = candidates.OrderBy(e => e.Name == Avx512DotKernels.Name ? Rank("avx512") : Rank(e.Name) - (e.Name == "avx512" ? 1 : 0));
        foreach (var entry in candidates)
        {
            if (entry.TryCreate(cpu, out var kernel) is not { } reason)
                return kernel!;
            if (entry.Name == forced)
                throw new InvalidOperationException($"{Variable}={forced}: {reason}");
        }

        throw new UnreachableException("every machine runs the scalar kernels");
    }

    /// <summary>The scalar kernel of a format: what the others are compared with.</summary>
    internal static PanelKernel Scalar(WeightFormat weights) => Entries.First(e => e.Weights == weights && e.Name == "scalar").Create();

    private static int Rank(string name) => Names.ToList().IndexOf(name);

    private static string? NeedsAvx2(CpuFeatures cpu) => cpu.Avx2 ? null : "this processor has no AVX2 with FMA";

    private static string? NeedsAvx512(CpuFeatures cpu) => cpu.Avx512 ? null : "this processor has no AVX-512 (F, BW, DQ, VL)";
}
