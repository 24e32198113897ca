using DualSparse.Kernels.Jit;
using Iced.Intel;
using static DualSparse.Kernels.Jit.FunctionAssembler;
using static Iced.Intel.AssemblerRegisters;

namespace DualSparse.Kernels.Gemm.Avx512Dot;

/// <summary>Dot-product instructions on registers alone.</summary>
internal static class DotRates
{
    // Independent chains: more than the latency of any product needs at two products a cycle.
    private const int Accumulators = 24;
    private const int Lanes = 16;

    /// <summary>VDPBF16PS: two products a lane.</summary>
    public static RateLoop Bf16 { get; } = Loop("avx512-dot bf16 rate", 2, ActivationFormat.Bf16, (c, sum, a, b) => c.vdpbf16ps(sum, a, b));

    /// <summary>VPDPBUSD: four products a lane.</summary>
    public static RateLoop Int8 { get; } = Loop("avx512-dot int8 rate", 4, ActivationFormat.Int8, (c, sum, a, b) => c.vpdpbusd(sum, a, b));

    private static RateLoop Loop(
        string name,
        int productsPerLane,
        ActivationFormat activations,
        Action<Assembler, AssemblerRegisterZMM, AssemblerRegisterZMM, AssemblerRegisterZMM> product)
    {
        var function = new EmittedFunction(name, c =>
        {
            var loop = c.CreateLabel();
            var (first, second) = (zmm30, zmm31);
            c.mov(rax, Field(nameof(PanelArgs.Rows)));
            c.vmovdqu32(first, __zmmword_ptr[rax]);
            c.mov(rax, Field(nameof(PanelArgs.Panel)));
            c.vmovdqu32(second, __zmmword_ptr[rax]);
            for (int i = 0; i < Accumulators; i++)
                c.vpxord(Zmm(i), Zmm(i), Zmm(i));
            c.mov(rax, Field(nameof(PanelArgs.Inputs)));
            c.Mark(ref loop);
            for (int i = 0; i < Accumulators; i++)
                product(c, Zmm(i), first, second);
            c.dec(rax);
            c.jnz(loop);
        });
        return new RateLoop(function, 2L * productsPerLane * Lanes * Accumulators, activations);
    }
}
