using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Jit;
using Iced.Intel;
using Xunit.Sdk;
using static Iced.Intel.AssemblerRegisters;

namespace DualSparse.Tests.Kernels.Emulation;

/// <summary>That faults of emitted code are found, one of each kind.</summary>
public unsafe class X64InterpreterTests
{
    [Fact]
    public void Reads_past_the_end_are_found() =>
        Assert.Contains("reads 64 bytes at", Fault(c => c.vmovdqu32(zmm0, __zmmword_ptr[rdi + 9 * 8 - 32]), CpuidFeature.AVX512F));

    [Fact]
    public void Writes_to_constants_are_found() =>
        Assert.Contains("writes 64 bytes at", Fault(c => c.vmovups(__zmmword_ptr[rdi], zmm0), CpuidFeature.AVX512F));

    [Fact]
    public void Instructions_beyond_the_allowed_are_found() =>
        Assert.Contains("needs AVX512_VNNI", Fault(c => c.vpdpbusd(zmm0, zmm1, zmm2), CpuidFeature.AVX512F));

    [Fact]
    public void Unknown_instructions_are_found() => Assert.Contains("is not modelled", Fault(c => c.bswap(rax)));

    [Fact]
    public void A_tile_state_left_behind_is_found() => Assert.Contains("tiles are left configured", Fault(
        c =>
        {
            byte[] configuration = new byte[64];
            configuration[0] = 1;
            configuration.AsSpan(48, 8).Fill(16);
            for (int tile = 0; tile < 8; tile++)
                configuration[16 + 2 * tile] = 64;
            c.lea(rax, __[c.Constant(configuration)]);
            c.ldtilecfg(__[rax]);
        },
        CpuidFeature.AMX_TILE));

    [Fact]
    public void An_unbalanced_stack_is_found() => Assert.ThrowsAny<Exception>(() => Call(c => c.push(rax)));

    private static string Fault(Action<FunctionAssembler> body, params CpuidFeature[] features) =>
        Assert.ThrowsAny<XunitException>(() => Call(body, features)).Message;

    private static void Call(Action<FunctionAssembler> body, params CpuidFeature[] features)
    {
        var args = default(PanelArgs);
        var memory = new GuardedMemory();
        memory.Allow("the arguments", &args, sizeof(PanelArgs));
        byte[] code = KernelCompiler.Assemble(new EmittedFunction("test", body), CallAbi.SystemV);
        new X64Interpreter(code, [CpuidFeature.AVX, .. features]).Call(CallAbi.SystemV, &args, memory);
    }
}
