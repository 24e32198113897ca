using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Gemm.Amx;
using DualSparse.Kernels.Gemm.Avx512Dot;
using DualSparse.Kernels.Jit;
using DualSparse.Kernels.Packing;
using Iced.Intel;

namespace DualSparse.Tests.Kernels.Emulation;

/// <summary>
/// The code of an emitted kernel, executed by <see cref="X64Interpreter"/> in place of the processor. It may read and write exactly
/// what <see cref="PanelArgs"/> promises, and use exactly the instructions that its entry in the table demands.
/// </summary>
internal sealed unsafe class EmulatedKernel : PanelKernel
{
    /// <summary>The dot products that stand beside AMX, which the table doesn't list.</summary>
    public const string WholeNext = "avx512-dot, next panel whole";

    private readonly CallAbi abi;
    private readonly X64Interpreter interpreter;

    private EmulatedKernel(
        string name, WeightFormat weights, ActivationFormat activations, EmittedFunction function, Func<CpuFeatures, string?> refusal, CallAbi abi)
        : base(name, weights, activations)
    {
        this.abi = abi;
        interpreter = new X64Interpreter(KernelCompiler.Assemble(function, abi), ProcessorNeeds.Of(refusal));
    }

    /// <summary>Every emitted kernel by name and weights, as it is called under the rules of <paramref name="abi"/>.</summary>
    public static EmulatedKernel Create(string name, WeightFormat weights, CallAbi abi, ulong next = 0) => (name, weights) switch
    {
        (AmxKernels.Name, WeightFormat.Bf16) =>
            new(name, weights, ActivationFormat.Bf16, AmxKernels.Bf16Function, AmxKernels.Bf16Refusal, abi) { Next = next },
        (AmxKernels.Name, WeightFormat.Int8) =>
            new(name, weights, ActivationFormat.Int8, AmxKernels.Int8Function, AmxKernels.IntegerRefusal, abi) { Next = next },
        (AmxKernels.Name, WeightFormat.Int4) =>
            new(name, weights, ActivationFormat.Int8, AmxKernels.Int4Function, AmxKernels.IntegerRefusal, abi) { Next = next },
        (Avx512DotKernels.Name, WeightFormat.Bf16) =>
            new(name, weights, ActivationFormat.Bf16, DotBf16.Function, Avx512DotKernels.Bf16Refusal, abi) { Next = next },
        (Avx512DotKernels.Name, WeightFormat.Int8) =>
            new(name, weights, ActivationFormat.Int8, DotInt8.Function, Avx512DotKernels.VnniRefusal, abi) { Next = next },
        (Avx512DotKernels.Name, WeightFormat.Int4) =>
            new(name, weights, ActivationFormat.Int8, DotInt4.Function, Avx512DotKernels.VnniRefusal, abi) { Next = next },
        (WholeNext, WeightFormat.Int4) =>
            new(name, weights, ActivationFormat.Int8, DotInt4.WholeNextFunction, Avx512DotKernels.VnniRefusal, abi) { Next = next },
        _ => throw new ArgumentException($"no emitted kernel {name} for {weights}"),
    };

    /// <summary>Address of the panel that is said to come next; nothing needs to lie there.</summary>
    public ulong Next { get; init; }

    /// <summary>Addresses of the next panel that the last product asked for.</summary>
    public IReadOnlySet<ulong> Prefetched { get; private set; } = new HashSet<ulong>();

    /// <summary>Instructions that no product has reached yet.</summary>
    public IEnumerable<string> Unreached() => interpreter.Unreached();

    public override void Multiply(in PanelArgs args)
    {
        var copy = args;
        copy.Next = (byte*)Next;
        var memory = Promised(&copy);
        // As far as this one is read.
        memory.Prefetchable = (Next, Next == 0 ? 0 : Next + (ulong)PanelLayout.PanelBytes(Weights, (int)args.Inputs));
        Prefetched = memory.Prefetched;
        interpreter.Call(abi, &copy, memory);
    }

    private GuardedMemory Promised(PanelArgs* args)
    {
        var memory = new GuardedMemory();
        nint paddedRows = (args->RowCount + PanelLayout.RowAlignment - 1) / PanelLayout.RowAlignment * PanelLayout.RowAlignment;
        nint usedBytes = args->Inputs * (Activations == ActivationFormat.Bf16 ? 2 : 1);
        nint resultRows = (args->PanelCount - 1) * args->RowCount + paddedRows;
        memory.Allow("the arguments", args, sizeof(PanelArgs), writable: true);
        for (nint p = 0; p < args->PanelCount; p++)
            memory.Allow($"the prefix of panel {p}", args->Panel + p * args->PanelBytes, PanelLayout.PanelBytes(Weights, (int)args->Inputs));
        memory.Allow("the result", args->Result, resultRows * PanelLayout.Columns * sizeof(float), writable: true);
        for (nint r = 0; r < paddedRows; r++)
            memory.Allow($"row {r}", args->Rows + r * args->RowBytes, usedBytes);
        if (Activations != ActivationFormat.Int8)
            return memory;
        memory.Allow("the rows' scales", args->RowScales, args->RowCount * sizeof(float));
        nint sums = Weights == WeightFormat.Int4 ? args->Inputs / PanelLayout.GroupInputs : 1;
        for (nint r = 0; r < args->RowCount; r++)
            memory.Allow($"the sums of row {r}", args->RowSums + r * args->RowSumStride, sums * sizeof(int));
        return memory;
    }
}

/// <summary>What a refusal demands of a processor, in Iced's words.</summary>
internal static class ProcessorNeeds
{
    private static readonly CpuFeatures Everything =
        new() { Avx2 = true, Avx512 = true, Avx512Bf16 = true, Avx512Vnni = true, AmxBf16 = true, AmxInt8 = true };

    private static readonly (CpuFeatures Without, CpuidFeature[] Features)[] Flags =
    [
        (Everything with { Avx2 = false }, [CpuidFeature.AVX, CpuidFeature.AVX2, CpuidFeature.FMA]),
        (Everything with { Avx512 = false },
            [CpuidFeature.AVX, CpuidFeature.AVX512F, CpuidFeature.AVX512BW, CpuidFeature.AVX512DQ, CpuidFeature.AVX512VL]),
        (Everything with { Avx512Bf16 = false }, [CpuidFeature.AVX512_BF16]),
        (Everything with { Avx512Vnni = false }, [CpuidFeature.AVX512_VNNI]),
        (Everything with { AmxBf16 = false }, [CpuidFeature.AMX_TILE, CpuidFeature.AMX_BF16]),
        (Everything with { AmxInt8 = false }, [CpuidFeature.AMX_TILE, CpuidFeature.AMX_INT8]),
    ];

    /// <summary>The features without which <paramref name="refusal"/> refuses.</summary>
    public static IEnumerable<CpuidFeature> Of(Func<CpuFeatures, string?> refusal)
    {
        Assert.Null(refusal(Everything));
        return Flags.Where(f => refusal(f.Without) is not null).SelectMany(f => f.Features);
    }
}
