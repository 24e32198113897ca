using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace DualSparse.Kernels;

/// <summary>What this processor, its operating system and this container let us use.</summary>
internal sealed record CpuFeatures
{
    /// <summary>The features of this machine, detected once.</summary>
    public static CpuFeatures Current { get; } = Detect();

    /// <summary>AVX2 and FMA.</summary>
    public bool Avx2 { get; init; }

    /// <summary>AVX-512 F, BW, DQ and VL, with the registers enabled by the operating system.</summary>
    public bool Avx512 { get; init; }

    /// <summary>AVX512-BF16: dot products of bfloat16 pairs.</summary>
    public bool Avx512Bf16 { get; init; }

    /// <summary>
    /// Whether bfloat16 dot products are slow: on an Intel core (x86 family 6) one begins every other cycle, which is half of what its two f32
    /// multiply-adds a cycle do. On Emerald Rapids an OLMoE layer with multiply-adds takes 0.73–0.75 of the time at 512 tokens, 1.2 at 128,
    /// and the same at 1 and 32.
    /// </summary>
    public bool SlowBf16Dot => Avx512Bf16 && Family == 6;

    /// <summary>AVX512-VNNI: dot products of byte quads.</summary>
    public bool Avx512Vnni { get; init; }

    /// <summary>AMX tiles with bfloat16, and permission to use them.</summary>
    public bool AmxBf16 { get; init; }

    /// <summary>AMX tiles with int8, and permission to use them.</summary>
    public bool AmxInt8 { get; init; }

    /// <summary>Why AMX is not used, or null where it is.</summary>
    public string? AmxRefusal { get; init; }

    /// <summary>The processor's own name, such as "AMD EPYC 9654 96-Core Processor".</summary>
    public string Name { get; init; } = "";

    /// <summary>The x86 family, extended part added (25: AMD's Zen 3 and 4); 0 elsewhere.</summary>
    public int Family { get; init; }

    /// <summary>The x86 model within the family.</summary>
    public int Model { get; init; }

    private static CpuFeatures Detect()
    {
        if (!X86Base.IsSupported)
            return new CpuFeatures { Name = RuntimeInformation.ProcessArchitecture.ToString(), AmxRefusal = "not an x86 processor" };
        var (signature, _, _, _) = CpuId(1, 0);
        var (_, ebx7, ecx7, edx7) = CpuId(7, 0);
        var (eax71, _, _, _) = CpuId(7, 1);
        bool avx512 = Avx512F.IsSupported && Avx512BW.IsSupported && Avx512DQ.IsSupported && Avx512F.VL.IsSupported;
        bool tileBf16 = Bit(edx7, 22), tiles = Bit(edx7, 24), tileInt8 = Bit(edx7, 25);
        string? refusal = !tiles ? "this processor has no AMX" : AmxPermission.Request();
        return new CpuFeatures
        {
            Name = Brand(),
            // As CPUID defines them: the extended family counts for family 15 alone, the extended model for 6 and 15.
            Family = Bits(signature, 8, 4) is 15 ? 15 + Bits(signature, 20, 8) : Bits(signature, 8, 4),
            Model = Bits(signature, 4, 4) + (Bits(signature, 8, 4) is 6 or 15 ? Bits(signature, 16, 4) << 4 : 0),
            Avx2 = System.Runtime.Intrinsics.X86.Avx2.IsSupported && Fma.IsSupported,
            Avx512 = avx512 && Bit(ebx7, 16),
            Avx512Bf16 = avx512 && Bit(eax71, 5),
            Avx512Vnni = avx512 && Bit(ecx7, 11),
            AmxBf16 = tileBf16 && avx512 && refusal is null,
            AmxInt8 = tileInt8 && avx512 && refusal is null,
            AmxRefusal = refusal,
        };
    }

    private static int Bits(int word, int first, int count) => word >> first & ((1 << count) - 1);

    private static bool Bit(int word, int bit) => (word >> bit & 1) != 0;

    private static (int Eax, int Ebx, int Ecx, int Edx) CpuId(uint leaf, uint subleaf) =>
        (uint)X86Base.CpuId(unchecked((int)(leaf & 0x80000000)), 0).Eax < leaf ? default : X86Base.CpuId(unchecked((int)leaf), (int)subleaf);

    private static string Brand()
    {
        Span<int> words = stackalloc int[12];
        for (uint i = 0; i < 3; i++)
            (words[(int)i * 4], words[(int)i * 4 + 1], words[(int)i * 4 + 2], words[(int)i * 4 + 3]) = CpuId(0x80000002 + i, 0);
        return System.Text.Encoding.ASCII.GetString(MemoryMarshal.AsBytes(words)).TrimEnd('\0', ' ').Trim();
    }
}
