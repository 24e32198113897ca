using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Gemm.Amx;
using DualSparse.Kernels.Gemm.Avx512Dot;
using DualSparse.Kernels.Jit;

namespace DualSparse.Tests.Kernels.Emulation;

public unsafe class EmulatedRateLoopTests
{
    [Fact]
    public void Loops_run_within_their_data_and_instructions()
    {
        Run(DotRates.Bf16, Avx512DotKernels.Bf16Refusal);
        Run(DotRates.Int8, Avx512DotKernels.VnniRefusal);
        Run(TileRates.Bf16, AmxKernels.Bf16Refusal);
        Run(TileRates.Int8, AmxKernels.IntegerRefusal);
    }

    private static void Run(RateLoop loop, Func<CpuFeatures, string?> refusal)
    {
        foreach (var abi in Enum.GetValues<CallAbi>())
        {
            var args = loop.Args(rounds: 3);
            var memory = new GuardedMemory();
            memory.Allow("the arguments", &args, sizeof(PanelArgs));
            memory.Allow("data for the first operand", args.Rows, RateLoop.DataBytes);
            memory.Allow("data for the second operand", args.Panel, RateLoop.DataBytes);
            new X64Interpreter(KernelCompiler.Assemble(loop.Function, abi), ProcessorNeeds.Of(refusal)).Call(abi, &args, memory);
        }
    }
}
